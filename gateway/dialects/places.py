"""Places: neutral paths (`messages[2].content[0].citations`) respelled as the client wrote them. Pure.

Where a conversation is translated, everybody speaks of it by its place among the neutral messages. Clients have
system prompts apart, or other names for the list and its parts; what they are told is in their words. Where something
stands is looked up again in the request itself, and only once there is something to tell.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from inference.ir.errors import InvalidField
from inference.ir.place import Place

NULL = Raw(b"null")
"""What a field that is not there reads as: msgspec keeps one raw only if it can be nothing else."""
_PATH = re.compile(r"\Amessages\[(\d+)\](?:\.content\[(\d+)\](?:\.content\[(\d+)\])?)?")
_CALL = re.compile(r"(\.tool_calls\[\d+\])\.arguments\Z")
"""Only in chat completions do a call's arguments stand one level further down."""
_count = msgspec.json.Decoder(list[Raw])


def respelled(names: Iterable[str], places: Sequence[Place]) -> tuple[str, ...]:
    """Names as the client knows them, each once. One that is of no message stays as it is."""
    told = (_PATH.sub(lambda found: _told(found, places), name, count=1) for name in names)
    return tuple(dict.fromkeys(_CALL.sub(r"\1.function.arguments", name) for name in told))


def retold(error: InvalidField, places: Sequence[Place]) -> InvalidField:
    """A refusal that names a field, with the client's name for it."""
    param = error.param
    if param is None or not _PATH.match(param):
        return error
    told = respelled((param,), places)[0]
    return InvalidField(error.message.replace(f"`{param}`", f"`{told}`"), param=told, code=error.code)


def items(raw: Raw, at: str) -> tuple[str, ...]:
    """The paths of what stands in a list; of what is no list, its own."""
    if raw == NULL:
        return ()
    if not bytes(raw).startswith(b"["):
        return (at,)
    return tuple(f"{at}[{n}]" for n in range(len(_count.decode(raw))))


def _told(found: re.Match[str], places: Sequence[Place]) -> str:
    message, part, inner = (None if group is None else int(group) for group in found.groups())
    assert message is not None
    if message >= len(places):
        return found[0]
    place = places[message]
    if part is None:
        return place.at
    path = place.parts[part] if part < len(place.parts) else place.at
    if inner is None or place.inner is None:
        return path
    return f"{path}.{place.inner}[{inner}]"
