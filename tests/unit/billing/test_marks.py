"""One wording for both drivers."""

from billing.marks import listed, marked


def test_each_driver_gets_its_own_marks() -> None:
    said = "SELECT a FROM t WHERE b = ? AND c {among} AND d = ?"
    assert marked(said, postgres=True) == "SELECT a FROM t WHERE b = $1 AND c = ANY ($2) AND d = $3"
    assert marked(said, postgres=False) == (
        "SELECT a FROM t WHERE b = ? AND c IN (SELECT value FROM json_each(?)) AND d = ?"
    )


def test_a_list_is_one_value() -> None:
    names = ["a", "b'\"; --", "ü"]
    assert listed(names, postgres=True) == names
    assert listed(names, postgres=False) == '["a","b\'\\"; --","ü"]'
