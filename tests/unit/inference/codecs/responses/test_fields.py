"""An object opened: each field once, in its own type, wrong ones named by their path."""

from collections.abc import Callable

import pytest

from inference.codecs.responses.fields import Fields
from inference.ir.errors import InvalidField


def test_what_is_taken_is_gone_and_the_rest_is_as_it_came() -> None:
    fields = Fields(b'{"a":"x","b":[1],"c":null,"d":{"e":2.0},"f":3,"g":true,"h":1.5,"i":{"k":"v"}}', "at")
    assert fields.need("a") == "x"
    assert [bytes(each) for each in fields.list("b") or ()] == [b"1"]
    assert fields.text("c") is None
    inner = fields.open("d")
    assert inner is not None
    assert inner.path("e") == "at.d.e"
    assert (fields.whole("f"), fields.truth("g"), fields.number("h")) == (3, True, 1.5)
    assert fields.words("i") == {"k": "v"}
    assert fields.rest() == {}
    assert {key: bytes(value) for key, value in inner.rest().items()} == {"e": b"2.0"}
    assert fields.text("a") is None


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        (Fields.text, "a string"),
        (Fields.list, "an array"),
        (Fields.whole, "an integer"),
        (Fields.number, "a number"),
        (Fields.truth, "a boolean"),
        (Fields.words, "an object of strings"),
    ],
)
def test_the_wrong_type(take: Callable[[Fields, str], object], expected: str) -> None:
    with pytest.raises(InvalidField, match=rf"`at\.x`: expected {expected}") as refused:
        take(Fields(b'{"x":{"y":1}}', "at"), "x")
    assert refused.value.param == "at.x"


def test_what_is_missing_or_no_object() -> None:
    with pytest.raises(InvalidField, match="Missing") as refused:
        Fields(b'{"x":null}', "").need("x")
    assert refused.value.param == "x"
    for raw in (b"[]", b'"x"', b"{"):
        with pytest.raises(InvalidField, match="expected an object"):
            Fields(raw, "at")
