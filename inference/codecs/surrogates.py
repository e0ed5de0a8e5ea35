r"""Surrogates: halves of characters, which an upstream escaped: put together, or told as U+FFFD. Pure.

A server that writes JSON in ASCII writes an emoji as two escapes, `\ud83d\ude00` (RFC 8259, section 7), and may send
each in an event of its own; neither is text by itself, and no decoder of ours takes it. In a stream the first half
waits for the second. A half that stays alone, there or in a whole answer, becomes U+FFFD. Nothing else is judged: what
is no JSON goes on as it came, for its reader to refuse.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct

from inference.ir.errors import UpstreamGarbled

_Name = TypeVar("_Name")
_Answer = TypeVar("_Answer")
_whole = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+",
    re.DOTALL,
).fullmatch
"""Matches what has no half of a character in it; a backslash that is itself escaped begins no escape."""
_escapes = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Every escape of a text; in its group what is half a character alone."""
_PIECES = frozenset(
    (
        "arguments",
        "content",
        "delta",
        "input",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "refusal",
        "text",
        "thinking",
        "tool_plan",
    )
)
"""Fields whose text goes on in a later event, in any format; the text of others ends where it ends."""
_NUMBERS = ("index", "output_index", "content_index", "summary_index", "contentBlockIndex")
"""What tells, at the top of an event, which block it is about."""
_KEPT = frozenset((*_NUMBERS, "type", "item_id", "thought"))
_Path = tuple[str | int, ...]
_Scope = tuple[tuple[tuple[str, int], ...], _Path]
_Key = tuple[str, _Scope, _Path]


def without_halves(data: bytes) -> bytes:
    """The same JSON, of the same length, with U+FFFD for each half of a character."""
    if (b"\\ud" not in data and b"\\uD" not in data) or _whole(data):
        return data
    return _escapes.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)


def read_whole(read: Callable[[bytes], _Answer], body: bytes) -> _Answer:
    """What a reader makes of a whole answer; what it cannot read is read once more without halves, if it has any.

    So a good answer costs nothing more, and none is lost for half a character. Raises what `read` raises.
    """
    try:
        return read(body)
    except UpstreamGarbled:
        mended = without_halves(body)
        if mended == body:
            raise
    return read(mended)


class _Half(Struct, Generic[_Name]):
    """A first half that waits. `alone`: the event that says U+FFFD in its place."""

    high: str
    name: _Name
    alone: bytes
    scope: _Scope


class Halves(Generic[_Name]):
    """Remembers the halves of one stream. `_Name` is whatever an event's data comes with.

    Whoever reads a stream asks here only about events that have an escape in them, or while `held` is not empty.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[_Key, _Half[_Name]] = {}

    def read(self, name: _Name, data: bytes) -> list[tuple[_Name, bytes]]:
        """The events to read in place of this one: mostly itself, its halves joined or held back; before it, what is
        left alone by a block that says something else or ends."""
        if not self.held and ((b"\\ud" not in data and b"\\uD" not in data) or _whole(data)):
            return [(name, data)]
        try:
            found: Any = json.loads(data)
            if not isinstance(found, dict):
                return [(name, data)]
            event = _Event(cast(dict[str, Any], found), self.held, name)
            whole = event.whole()
        except (ValueError, RecursionError):
            return [(name, data)]
        left = [
            key for key, half in self.held.items() if half.scope in event.scopes and key not in event.keys
        ]
        out = [(half.name, half.alone) for half in map(self.held.pop, left)]
        return [*out, (name, json.dumps(whole).encode() if event.changed else data)]

    def left(self) -> list[tuple[_Name, bytes]]:
        """What still waits at the stream's end, as events."""
        out = [(half.name, half.alone) for half in self.held.values()]
        self.held.clear()
        return out


class _Event(Generic[_Name]):
    """One event, and what it is about."""

    __slots__ = ("_found", "_held", "_name", "_numbers", "changed", "keys", "scopes")

    def __init__(self, found: dict[str, Any], held: dict[_Key, _Half[_Name]], name: _Name) -> None:
        self._found = found
        self._held = held
        self._name = name
        self._numbers = tuple((each, found[each]) for each in _NUMBERS if isinstance(found.get(each), int))
        self.changed = False
        self.scopes: set[_Scope] = {(self._numbers, ())}
        self.keys: set[_Key] = set()

    def whole(self) -> Any:
        return self._value(self._found, (), ())

    def _value(self, value: Any, path: _Path, within: _Path) -> Any:
        """`within` is the way to the outermost element of a list that this is part of."""
        if isinstance(value, str):
            return self._text(value, path, within)
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            return {key: self._value(each, (*path, key), within) for key, each in fields.items()}
        if isinstance(value, list):
            made: list[Any] = []
            for place, each in enumerate(cast(list[Any], value)):
                inner = (*path, _label(each, place))
                self.scopes.add((self._numbers, within or inner))
                made.append(self._value(each, inner, within or inner))
            return made
        return value

    def _text(self, text: str, path: _Path, within: _Path) -> str:
        kind = self._found.get("type")
        kind = kind if isinstance(kind, str) else "delta"
        key = (kind, (self._numbers, within), path)
        self.keys.add(key)
        half = self._held.pop(key, None)
        said = text if half is None else half.high + text
        if said and "\ud800" <= said[-1] <= "\udbff" and path[-1] in _PIECES and "delta" in kind:
            alone = json.dumps(_alone(self._found, path)).encode() if half is None or text else half.alone
            self._held[key] = _Half(said[-1], self._name, alone, (self._numbers, within))
            said = said[:-1]
        made = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self.changed = self.changed or made != text
        return made


def _label(element: Any, place: int) -> int:
    """What an element of a list is known by from event to event."""
    number: Any = cast(dict[str, Any], element).get("index") if isinstance(element, dict) else None
    return number if isinstance(number, int) else place


def _alone(value: Any, path: _Path) -> Any:
    """The event with U+FFFD at one place, and besides nothing but what tells the place."""
    if not path:
        return "\ufffd"
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        kept = {key: each for key, each in fields.items() if key in _KEPT}
        return {**kept, cast(str, path[0]): _alone(fields[cast(str, path[0])], path[1:])}
    elements = enumerate(cast(list[Any], value))
    return [_alone(each, path[1:]) for place, each in elements if _label(each, place) == path[0]][:1]


def lone_half(text: bytes) -> tuple[int, str] | None:
    """Where in JSON the first escape of half a character stands alone, and the escape; None without any."""
    for found in _escapes.finditer(text):
        if found[1] is not None:
            return found.start(), found[0].decode()
    return None
