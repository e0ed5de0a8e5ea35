"""Where in a request for a response things stand: several items in a row may be one turn. Pure."""

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.places import NULL
from inference.codecs.responses.items import ItemReader
from inference.ir.place import Place


class _Asked(Struct):
    input: Raw = NULL
    instructions: Raw = NULL


_asked = msgspec.json.Decoder(_Asked)
_list = msgspec.json.Decoder(list[Raw])


def places(body: bytes) -> list[Place]:
    """Of a request that was read without a fault."""
    asked = _asked.decode(body)
    return [*_places(asked.instructions, "instructions"), *_places(asked.input, "input")]


def _places(raw: Raw, at: str) -> list[Place]:
    if raw == NULL:
        return []
    if not bytes(raw).startswith(b"["):
        return [Place(at=at, parts=(at,))]
    reader = ItemReader(at, continued=True)
    reader.read(_list.decode(raw))
    return reader.places
