"""One object taken apart field by field, each mistake with its path."""

import json
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import pytest
from msgspec import Raw

from inference.codecs.fields import Fields
from inference.ir.errors import InvalidField

ALL = (
    b'{"t":"x","n":1,"f":1.5,"b":true,"l":["y"],"one":"z","o":{"p":2},"os":[{"q":3}],"m":{"k":"v"},'
    b'"w":{"k":0.5},"s":{"type":"object"},"null":null,"more":[1.50]}'
)


def test_what_is_taken_is_gone_and_the_rest_is_kept() -> None:
    found = Fields.of(ALL, "a[0]")
    assert (found.needed("t"), found.integer("n"), found.number("f"), found.flag("b")) == ("x", 1, 1.5, True)
    assert (found.texts("l"), found.one_or_more("one")) == (("y",), ("z",))
    assert (found.words("m"), found.numbers("w")) == ({"k": "v"}, {"k": 0.5})
    inner = found.inner("o")
    assert inner is not None
    assert inner.at("p") == "a[0].o.p"
    assert [each.integer("q") for each in found.inners("os")] == [3]
    schema = found.schema("s")
    assert schema is not None
    assert bytes(schema) == b'{"type":"object"}'
    assert (found.text("t"), found.raw("null"), found.inners("os"), found.texts("l")) == (None, None, [], ())
    assert {name: bytes(value) for name, value in found.rest("p.").items()} == {"p.more": b"[1.50]"}
    found.keep("t", Raw(b'"again"'))
    assert json.loads(bytes(found.whole())) == {"more": [1.5], "t": "again"}
    found.discard(("t", "more"))
    assert found.rest() == {}


def test_what_is_null_is_not_given() -> None:
    found = Fields.of(b'{"a":null,"b":null,"c":null,"d":7}')
    assert (found.text("a"), found.items("b"), found.words_if("c")) == (None, [], None)
    assert "c" not in found
    assert "d" in found
    assert not found.is_text("d")


def test_words_of_another_kind_stay_where_they_are() -> None:
    found = Fields.of(b'{"good":{"k":"v"},"bad":{"k":1}}')
    assert (found.words_if("good"), found.words_if("bad")) == ({"k": "v"}, None)
    assert list(found.rest()) == ["bad"]


MISTAKES: list[tuple[Callable[[Fields], Any], str, str]] = [
    (methodcaller("text", "n"), "a[0].n", "a string, got an integer"),
    (methodcaller("integer", "f"), "a[0].f", "an integer, got a number"),
    (methodcaller("number", "t"), "a[0].t", "a number, got a string"),
    (methodcaller("flag", "t"), "a[0].t", "true or false, got a string"),
    (methodcaller("texts", "t"), "a[0].t", "an array of strings, got a string"),
    (methodcaller("one_or_more", "n"), "a[0].n", "a string or an array of strings"),
    (methodcaller("items", "o"), "a[0].o", "an array, got an object"),
    (methodcaller("words", "l"), "a[0].l", "an object of strings, got an array"),
    (methodcaller("numbers", "l"), "a[0].l", "an object of numbers"),
    (methodcaller("inner", "b"), "a[0].b", "an object, got a boolean"),
    (methodcaller("inners", "t"), "a[0].t", "an array of objects, got a string"),
    (methodcaller("inners", "l"), "a[0].l[1]", "an object, got an integer"),
    (methodcaller("schema", "t"), "a[0].t", "a JSON schema"),
]


@pytest.mark.parametrize(("take", "path", "said"), MISTAKES)
def test_mistakes_say_where_and_what(take: Callable[[Fields], Any], path: str, said: str) -> None:
    found = Fields.of(b'{"t":"x","n":1,"f":1.5,"b":true,"l":[{},7],"o":{}}', "a[0]")
    with pytest.raises(
        InvalidField, match=rf"`{path.replace('[', '.').replace(']', '.')}`: expected {said}"
    ) as wrong:
        take(found)
    assert wrong.value.param == path


def test_what_is_missing_and_what_is_no_object() -> None:
    with pytest.raises(InvalidField, match="Missing required field `x`") as wrong:
        Fields.of(b'{"x":null}').needed("x")
    assert (wrong.value.param, wrong.value.code) == ("x", "missing_field")
    for raw in (b"[]", b'"x"', b"{"):
        with pytest.raises(InvalidField, match="`the body`: expected an object"):
            Fields.of(raw)
