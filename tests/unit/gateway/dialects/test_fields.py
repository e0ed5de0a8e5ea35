"""Fields taken out one by one, each mistake under its path."""

import pytest
from msgspec import Raw

from gateway.dialects.fields import Fields
from inference.ir.errors import InvalidField


def test_what_is_taken_is_gone_and_the_rest_is_kept() -> None:
    fields = Fields.of(Raw(b'{"a":"x","b":[{"c":1}],"d":null,"e":{"f":true},"g":1.5}'), "top")
    assert (fields.text("a"), fields.text("a"), fields.text("d")) == ("x", None, None)
    assert [inner.integer("c") for inner in fields.inners("b")] == [1]
    inner = fields.inner("e")
    assert inner is not None
    assert inner.flag("f") is True
    assert {name: bytes(value) for name, value in fields.rest("p.").items()} == {"p.g": b"1.5"}


def test_mistakes_say_where_and_what() -> None:
    fields = Fields.of(Raw(b'{"a":7,"b":[{"c":"x"}]}'), "top[2]")
    with pytest.raises(InvalidField, match="expected a string, got an integer") as raised:
        fields.text("a")
    assert raised.value.param == "top[2].a"
    with pytest.raises(InvalidField) as raised:
        [inner.number("c") for inner in fields.inners("b")]
    assert raised.value.param == "top[2].b[0].c"
    with pytest.raises(InvalidField) as raised:
        fields.needed("z")
    assert (raised.value.param, raised.value.code) == ("top[2].z", "missing_field")
