"""JSON of nearly the right shape is read as far as it fits."""

import msgspec
import pytest
from msgspec import Raw, Struct

from inference.codecs.mending import Misfit, mended


class Inner(Struct):
    count: int = 0
    text: str | None = None


class Outer(Struct, rename="camel"):
    how_many: int = 1
    inner: Inner | None = None
    several: list[Inner] | None = None
    as_it_came: Raw = Raw(b"null")


class Strict(Struct):
    name: str


def test_what_fits_is_kept_and_what_does_not_is_not_said() -> None:
    found = mended(
        b'{"howMany": null, "inner": {"count": "many", "text": "kept"},'
        b' "several": [null, {"count": 2}, {"text": 3}], "asItCame": {"a":  1.0}, "new": 1}',
        Outer,
    )
    assert found.how_many == 1
    assert found.inner == Inner(text="kept")
    assert found.several == [Inner(count=2), Inner()]
    assert bytes(found.as_it_came) == b'{"a":  1.0}'


def test_numbers_in_quotes_are_numbers() -> None:
    assert mended(b'{"howMany": "7"}', Outer).how_many == 7


def test_what_is_needed_has_to_fit_at_any_depth() -> None:
    with pytest.raises(Misfit):
        mended(b'{"inner": {"text": 3}}', Outer, frozenset({"text"}))
    assert mended(b'{"inner": {"text": null}}', Outer, frozenset({"text"})).inner == Inner()


@pytest.mark.parametrize("data", [b"[]", b"3", b"{", b'{"name": null}', b"{}"])
def test_what_is_no_such_thing(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        mended(data, Strict)
