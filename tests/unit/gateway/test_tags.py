"""Tags: pairs and words are read, what is no tag is refused with the form that was expected."""

import pytest

from gateway.tags import check_tags, read_tags, split_tags
from inference.ir.errors import InvalidField


def test_pairs_and_words() -> None:
    assert read_tags(b"project=atlas, environment=prod ,urgent") == {
        "project": "atlas",
        "environment": "prod",
        "urgent": "true",
    }
    assert read_tags(b"") == {}
    assert split_tags(["a=b=c"]) == {"a": "b=c"}
    assert check_tags({"k": "ü"}) == {"k": "ü"}


@pytest.mark.parametrize(
    "header",
    [b"=x", b"a=", b"a=1,a=2", b"sp ace=1", b"\xff=1", b"a=" + b"x" * 257, b"x" * 65, b"a=\x01"],
)
def test_what_is_no_tag_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidField, match="name=value") as caught:
        read_tags(header)
    assert caught.value.param == "x-aspendos-tags"


def test_not_too_many() -> None:
    check_tags({f"t{n}": "1" for n in range(16)})
    with pytest.raises(InvalidField, match="too many"):
        check_tags({f"t{n}": "1" for n in range(17)})
