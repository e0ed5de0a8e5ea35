"""Where in a generateContent request things stand, in camelCase as its errors name them. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.gemini.parse import read_turns
from gateway.dialects.gemini.turns import whole_places
from gateway.dialects.places import NULL, items
from inference.codecs.fields import Fields
from inference.codecs.gemini.spelling import camel
from inference.ir.place import Place


class _Content(Struct):
    parts: Raw = NULL


class _Asked(Struct, rename="camel"):
    contents: Raw
    system_instruction: Raw = NULL


_asked = msgspec.json.Decoder(_Asked)
_content = msgspec.json.Decoder(_Content)
_contents = msgspec.json.Decoder(list[_Content])


def places(body: bytes) -> Sequence[Place]:
    """Of a request that was read without a fault. A single turn, or part, may stand there without a list."""
    body = camel(body)
    return whole_places(read_turns(Fields.of(body, "")), _as_written(body))


def _as_written(body: bytes) -> list[Place]:
    asked = _asked.decode(body)
    found: list[Place] = []
    system = asked.system_instruction
    if system != NULL:
        found.append(_place(system, "systemInstruction"))
    if bytes(asked.contents).startswith(b"["):
        found += [_placed(each, f"contents[{n}]") for n, each in enumerate(_contents.decode(asked.contents))]
    else:
        found.append(_place(asked.contents, "contents"))
    return found


def _place(raw: Raw, at: str) -> Place:
    if bytes(raw).startswith(b'"'):
        return Place(at=at, parts=(at,))
    return _placed(_content.decode(raw), at)


def _placed(content: _Content, at: str) -> Place:
    return Place(at=at, parts=items(content.parts, f"{at}.parts"), inner=None)
