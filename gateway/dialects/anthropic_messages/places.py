"""Where in a request to Anthropic's Messages things stand: the system prompt is a field of its own. Pure."""

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.places import NULL, items
from inference.ir.place import Place


class _Turn(Struct):
    content: Raw = NULL


class _Asked(Struct):
    messages: list[_Turn]
    system: Raw = NULL


_asked = msgspec.json.Decoder(_Asked)


def places(body: bytes) -> list[Place]:
    """Of a request that was read without a fault."""
    asked = _asked.decode(body)
    found: list[Place] = []
    if asked.system != NULL:
        found.append(Place(at="system", parts=items(asked.system, "system")))
    for n, turn in enumerate(asked.messages):
        at = f"messages[{n}]"
        found.append(Place(at=at, parts=items(turn.content, f"{at}.content")))
    return found
