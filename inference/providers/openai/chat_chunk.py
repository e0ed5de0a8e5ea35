"""One event of a stream in OpenAI's chat format, read by type; what is oddly typed is mended, or else garbled. Pure.

(https://platform.openai.com/docs/api-reference/chat-streaming)
"""

import json
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.reasoning_details import Detail
from inference.ir.errors import UpstreamGarbled
from inference.providers.openai.chat_answer import ExtraContent, ImageItem, Speech, garbled

NULL = Raw(b"null")
"""What an absent raw field reads as: msgspec keeps a field raw only if it can be nothing else."""


class Function(Struct, gc=False):
    """A function's name and arguments, or a custom tool's and its input."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class CallPiece(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None
    extra_content: ExtraContent | None = None


class Delta(Struct, gc=False):
    content: str | list[Raw] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    tool_calls: list[CallPiece] | None = None
    reasoning_details: list[Detail] | None = None
    refusal: str | None = None
    function_call: Function | None = None
    annotations: list[Raw] | None = None
    images: list[ImageItem] | None = None
    audio: Speech | None = None
    extra_content: ExtraContent | None = None


class ChunkChoice(Struct, gc=False):
    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Raw = NULL
    stop_reason: Raw = NULL
    error: Raw = NULL


class Groq(Struct, gc=False):
    usage: Raw = NULL
    error: Raw = NULL


class Chunk(Struct, gc=False):
    """What matters in every event."""

    choices: list[ChunkChoice] | None = None
    usage: Raw = NULL
    error: Raw = NULL
    x_groq: Groq | None = None


class Head(Chunk, gc=False):
    """What the first one says besides."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None


_Kind = TypeVar("_Kind", bound=Struct)
_chunk = msgspec.json.Decoder(Chunk)
_head = msgspec.json.Decoder(Head)
_encode = msgspec.json.Encoder().encode


def read_chunk(data: bytes, *, head: bool) -> Chunk:
    """Raises UpstreamGarbled."""
    try:
        return _head.decode(data) if head else _chunk.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return _mended(data, Head if head else Chunk)


def _mended(data: bytes, kind: type[Chunk]) -> Chunk:
    """The event without the fields whose type nobody expects; what was said in them is never among those."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise garbled("is no JSON in the middle of a stream") from None
    if not isinstance(found, dict):
        raise garbled("has an event in its stream that is no JSON object")
    event = cast(dict[str, Any], found)
    choices = event.get("choices")
    if isinstance(choices, list):
        given = cast(list[dict[str, Any] | None], choices)
        event["choices"] = [_choice(each) for each in given if each is not None]
    return _converted(event, kind)


def _choice(choice: dict[str, Any]) -> ChunkChoice:
    if not isinstance(choice, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # nobody has checked yet
        raise _unread("choices")
    delta = choice.get("delta")
    if isinstance(delta, dict):
        said = cast(dict[str, Any], delta)
        calls = said.get("tool_calls")
        if isinstance(calls, list):
            made = [call for call in cast(list[Any], calls) if call is not None]
            for call in made:
                _write_arguments(call)
            said["tool_calls"] = [_converted(call, CallPiece) for call in made]
        choice["delta"] = _converted(said, Delta)
    return _converted(choice, ChunkChoice)


def _write_arguments(call: Any) -> None:
    """Some servers send arguments as the object they are, not as its text."""
    if not isinstance(call, dict):
        return
    function: Any = cast(dict[str, Any], call).get("function")
    if not isinstance(function, dict):
        return
    inner = cast(dict[str, Any], function)
    if isinstance(inner.get("arguments"), dict | list):
        inner["arguments"] = _encode(inner["arguments"]).decode()


def _converted(fields: dict[str, Any], kind: type[_Kind]) -> _Kind:
    """The fields that are of the type they have to be. Raises UpstreamGarbled where text is not text."""
    if not isinstance(fields, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # nobody has checked yet
        raise _unread("tool_calls")
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    kept: dict[str, Any] = {}
    for name, expected in known.items():
        value = fields.get(name)
        if value is None:
            continue
        try:
            kept[name] = _as(value, expected)
        except (msgspec.ValidationError, ValueError):
            if name in ("choices", "content", "delta", "tool_calls"):
                raise _unread(name) from None
    return kind(**kept)


def _as(value: Any, expected: Any) -> Any:
    if expected is Raw:
        return Raw(_encode(value))
    if _is_read(value):
        return value
    return msgspec.json.decode(_encode(value), type=expected, strict=False)


def _is_read(value: Any) -> bool:
    """Whether it has been converted already, further in."""
    first: Any = next(iter(cast(list[Any], value)), None) if isinstance(value, list) else value
    return isinstance(first, Struct)


def _unread(name: str) -> UpstreamGarbled:
    return garbled(f"has `{name}` of an unknown shape in its stream")
