"""Where in a generateContent request things stand, in camelCase as its errors name them. Pure."""

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.places import NULL, items
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


def places(body: bytes) -> list[Place]:
    """Of a request that was read without a fault. A single turn, or part, may stand there without a list."""
    asked = _asked.decode(camel(body))
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
