"""Asking: a recorded request told to every other wire format, held against that provider's own types and read back.

What every dialect has words for has to arrive: the turns with their texts, pictures, calls and results, in order, and
the tools offered. What the other side has no words for is refused, or named as dropped.
"""

import base64
import json
import re
from typing import Any, cast

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from inference.codecs.body import decode_fields
from inference.ir.chat import ChatRequest, Message, Role, ToolKind, ToolMode
from inference.ir.content import Audio, Family, File, Image, Refusal, Text, ToolCall, ToolResult, Video
from inference.ir.errors import InvalidField
from tests.golden.test_pairs import CARD
from tests.recorded.translating import CLIENTS
from tests.recorded.verdicts import Unsupported

TYPES: dict[Family, TypeAdapter[Any]] = {
    Family.OPENAI_CHAT: TypeAdapter(CompletionCreateParamsNonStreaming),
    Family.OPENAI_RESPONSES: TypeAdapter(ResponseCreateParamsNonStreaming),
    Family.ANTHROPIC: TypeAdapter(MessageCreateParamsNonStreaming),
}
_CONTENT = re.compile(r"(messages|contents|input|system\w*)\[.*|.*\.role")
"""Paths of what is said to the model; what else is dropped is a setting."""


def told(asked: ChatRequest, target: Family) -> None:
    """Raises AssertionError for what was lost without a word, or is not valid there; Unsupported for what was not."""
    dialect, own = CLIENTS[target]
    try:
        sent = own.request(asked, model="m", card=CARD)
    except InvalidField as error:
        raise Unsupported(_general(error.message)) from None
    if _orphans(asked):
        raise Unsupported("a result whose call is stored at the provider, or of a tool of its own")
    back = dialect.parse(sent.body)
    expected, found = turns(asked), turns(back)
    if found != expected and any(_CONTENT.fullmatch(name) for name in sent.dropped):
        raise Unsupported("named as dropped: parts or places that the other format does not have")
    if found != expected and _shown_by_tools(asked):
        raise Unsupported("what a tool shows goes into a message of its own")
    assert found in (expected, _alone(expected))
    assert functions(back) == functions(asked)
    if target is Family.OPENAI_RESPONSES and any(turn[1:] == ("audio",) for turn in expected[1:]):
        raise Unsupported("sound, which OpenAI's types for responses do not know; it is said as in a chat")
    validate(sent.body, target)


def _orphans(asked: ChatRequest) -> bool:
    parts = [part for message in asked.messages for part in message.parts]
    calls = {part.id for part in parts if isinstance(part, ToolCall)}
    return any(isinstance(part, ToolResult) and part.call_id not in calls for part in parts)


def _shown_by_tools(asked: ChatRequest) -> bool:
    parts = [part for message in asked.messages for part in message.parts]
    return any(
        not isinstance(inner, Text)
        for part in parts
        if isinstance(part, ToolResult)
        for inner in part.content
    )


def _alone(expected: list[Any]) -> list[Any]:
    """Some formats need a turn of the user's: where there is only a system's, its words are said there."""
    return ["", ("user", "text", expected[0])] if len(expected) == 1 else expected


def _general(message: str) -> str:
    """A refusal's words without the names of one request."""
    return "refused: " + re.sub(r"`[^`]*`", "`…`", message).partition(";")[0].replace("'", "")[:140]


def turns(asked: ChatRequest) -> list[Any]:
    """What is said, in order; a system's words first, for some formats have no other place for them."""
    names: dict[str, str] = {}
    system: list[str] = []
    said: list[tuple[str, ...]] = []
    for message in asked.messages:
        for turn in _said(message, names):
            if turn[0] == "system":
                system.append(turn[2])
            elif said and turn[1] == "text" and said[-1][:2] == turn[:2]:
                said[-1] = (*turn[:2], said[-1][2] + turn[2])
            else:
                said.append(turn)
    return ["".join(system), *said]


def _said(message: Message, names: dict[str, str]) -> list[tuple[str, ...]]:
    side = "system" if message.role in (Role.SYSTEM, Role.DEVELOPER) else str(message.role)
    found: list[tuple[str, ...]] = []
    for part in message.parts:
        match part:
            case Text() | Refusal() if part.text.strip():
                found.append((side, "text", "".join(part.text.split())))
            case Image():
                source = part.source
                found.append((side, "image", source.data or source.url or source.file_id or ""))
            case File() if (text := _text_of(part)) is not None:
                found.append((side, "text", "".join(text.split())))
            case Audio():
                found.append((side, "audio"))
            case Video() | File():
                found.append((side, "file"))
            case ToolCall():
                names[part.id] = part.name
                found.append((side, "call", part.name, _arguments(part.arguments)))
            case ToolResult():
                texts = [each.text for each in part.content if isinstance(each, Text)]
                found.append(("tool", names.get(part.call_id, ""), "".join("".join(texts).split())))
            case _:
                pass
    return found


def _text_of(file: File) -> str | None:
    """A file of plain text is given as a text where a format has no such files."""
    source = file.source
    if file.text is not None or source is None or source.data is None:
        return file.text
    return base64.b64decode(source.data).decode() if (source.media_type or "").startswith("text/") else None


def _arguments(text: str) -> str:
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except ValueError:
        return text


def functions(asked: ChatRequest) -> list[tuple[str, str]]:
    """The tools that a client offers itself, and lets be called; not the one by which it is given what it wants."""
    allowed = (
        asked.tool_choice.names if asked.tool_choice and asked.tool_choice.mode is not ToolMode.NAMED else ()
    )
    return [
        (tool.name, tool.description or "")
        for tool in asked.tools
        if tool.kind is not ToolKind.HOSTED
        and not tool.name.startswith("aspendos_")
        and (not allowed or tool.name in allowed)
    ]


def validate(body: bytes, target: Family) -> None:
    """Raises pydantic's ValidationError for what the provider's own types do not take."""
    if target in TYPES:
        given = {name: json.loads(bytes(raw)) for name, raw in decode_fields(body).items()}
        for name in ("stream", "stream_options"):
            given.pop(name, None)
        _walked(TYPES[target].validate_python(given))


def _walked(value: Any) -> None:
    """The types check what is iterable only as one goes through it."""
    if isinstance(value, dict):
        for each in cast(dict[str, Any], value).values():
            _walked(each)
    elif not isinstance(value, str | bytes | int | float | None):
        for each in value:
            _walked(each)
