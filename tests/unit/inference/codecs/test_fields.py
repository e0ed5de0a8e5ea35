"""One object read field by field, each mistake with its path."""

import json
from collections.abc import Callable

import msgspec
import pytest
from msgspec import Raw

from inference.codecs.fields import Fields, Misshapen


def fields(text: str) -> Fields:
    return Fields(msgspec.json.decode(text.encode(), type=dict[str, Raw]), "a.0")


def test_what_is_read_is_gone_and_the_rest_is_kept() -> None:
    found = fields('{"t":"x","n":1,"f":1.5,"b":true,"l":["y"],"o":{"p":2},"null":null,"more":[1.50]}')
    assert (found.text("t"), found.whole("n"), found.number("f"), found.flag("b")) == ("x", 1, 1.5, True)
    assert found.texts("l") == ["y"]
    inner = found.object("o")
    assert inner is not None
    assert inner.at("p") == "a.0.o.p"
    assert (found.text("t"), found.raw("null")) == (None, None)
    assert {name: bytes(value) for name, value in found.rest().items()} == {"more": b"[1.50]"}
    found.put("t", Raw(b'"again"'))
    assert json.loads(bytes(found.whole_object())) == {"more": [1.5], "t": "again"}


READS: list[tuple[Callable[[Fields], object], str]] = [
    (lambda found: found.text("n"), "a.0.n"),
    (lambda found: found.need_text("gone"), "a.0.gone"),
    (lambda found: found.whole("t"), "a.0.t"),
    (lambda found: found.texts("t"), "a.0.t"),
    (lambda found: found.object("t"), "a.0.t"),
    (lambda found: found.objects("l"), "a.0.l.1"),
    (lambda found: found.schema("t"), "a.0.t"),
]


@pytest.mark.parametrize(("read", "path"), READS)
def test_mistakes(read: Callable[[Fields], object], path: str) -> None:
    with pytest.raises(Misshapen) as wrong:
        read(fields('{"t":"x","n":1,"l":[{},7]}'))
    assert wrong.value.path == path
