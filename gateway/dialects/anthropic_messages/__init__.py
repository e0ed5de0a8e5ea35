"""Anthropic's Messages as a dialect: what its clients send, understood only as far as the gateway must. Pure.

(https://docs.anthropic.com/en/api/messages)
"""

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.anthropic_messages.answer import answer
from gateway.dialects.anthropic_messages.errors import error_body, error_event
from gateway.dialects.anthropic_messages.frames import ending, frame
from gateway.dialects.anthropic_messages.needs import needs
from gateway.dialects.anthropic_messages.parse import parse
from gateway.dialects.anthropic_messages.places import places
from gateway.dialects.anthropic_messages.tool_check import check_tools
from gateway.dialects.anthropic_messages.writer import MessageWriter
from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.hints import Hints, listed, tags_of
from gateway.dialects.media_words import shows_by
from gateway.dialects.needs import once
from inference.codecs.anthropic.usage import written_usage
from inference.codecs.body import check_text, explain
from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.need import Need
from inference.ir.place import Place
from inference.ir.usage import Usage
from inference.wire import Tap

_INLINE = re.compile(rb'"data"\s*:\s*"[A-Za-z0-9+/=\\]{64,}"')
_PICTURE = re.compile(rb'"type"\s*:\s*"image"')
_BY_ADDRESS = re.compile(rb'"source"\s*:\s*\{[^{}]*?"type"\s*:\s*"url"')
SHOWN = b'"source"'
"""What stands beside everything that a message shows."""
_STEP = re.compile(r"\[(\d+)\]")
FORWARDED = (b"anthropic-version", b"anthropic-beta")


class MessagesBody(Struct, frozen=True, kw_only=True):
    """The fields of a message the gateway looks at; all others are forwarded as they came."""

    model: str
    max_tokens: int
    messages: Raw
    system: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    aspendos: Hints | UnsetType | None = UNSET


_body = msgspec.json.Decoder(MessagesBody)


class MessagesChat:
    """Conversations in full."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        return parse(body)

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in the request each of its messages stands."""
        return places(body)

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
        """A message."""
        return answer(completion, asked, setting)

    def writer(self, asked: ChatRequest, setting: Setting) -> MessageWriter:
        """A message as a stream."""
        return MessageWriter(setting)


class UnlimitedChat(MessagesChat):
    """The same without the limit that each of these requests has."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        return msgspec.structs.replace(parse(body), max_output=None)


class Messages:
    """POST /v1/messages"""

    route = "messages"
    kind = Kind.CHAT
    chat: ChatDialect | None = MessagesChat()
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = FORWARDED
    limit = "max_tokens"
    unlimited: ChatDialect = UnlimitedChat()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        try:
            asked = _body.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise pathed(explain(body, error)) from None
        messages = checked_messages(asked.messages)
        tools = listed(asked.tools)
        if tools and isinstance(asked.tools, Raw):
            check_tools(asked.tools, messages)
        shown = shows_by(SHOWN, messages)
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=prompt_of(messages, asked.system, asked.tools),
            max_output=asked.max_tokens,
            pictures=len(_PICTURE.findall(messages)) if shown else 0,
            tools=tools,
            tags=tags_of(asked.aspendos),
            lane=lane_of(self.route, messages) if shown else "",
            shows=shown,
        )

    def needs(self, body: bytes) -> Sequence[Need]:
        """What of the catalogue's capabilities a request asks for."""
        return once(needs(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """Anthropic's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> "MessagesVoice":
        """How the gateway speaks inside a stream."""
        return MessagesVoice(tap)


@runtime_checkable
class BlockTap(Protocol):
    """A tap that knows which content block is under way."""

    open_block: int | None


class MessagesVoice:
    """How the gateway speaks inside a stream that is passed on."""

    __slots__ = ("_tap",)
    end = b""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which Anthropic's SDKs raise."""
        return error_event(error)

    def cut(self, usage: Usage) -> bytes:
        """The end as if the maximum had been reached: the block under way is closed."""
        under_way = self._tap.open_block if isinstance(self._tap, BlockTap) else None
        closed = b"" if under_way is None else frame("content_block_stop", {"index": under_way})
        return closed + ending({"stop_reason": "max_tokens", "stop_sequence": None}, written_usage(usage))


def checked_messages(given: Raw) -> bytes:
    """The conversation's bytes. Raises InvalidField for what is no list of messages, or an empty one."""
    messages = bytes(given)
    if not messages.startswith(b"["):
        raise InvalidField("messages: expected an array of messages", param="messages")
    if not messages[1:-1].strip():
        raise InvalidField("messages: at least one message is required", param="messages")
    return messages


def lane_of(route: str, messages: bytes) -> str:
    """What a target must have to take this as it is: more than the route where something is shown by its address."""
    if b'"url"' in messages and _BY_ADDRESS.search(messages):
        return f"{route}_by_address"
    return ""


def prompt_of(messages: bytes, *more: Raw | UnsetType) -> bytes:
    """All that the model reads, for counting: files in it are marked as such, and not as so much text."""
    prompt = messages + b"".join(bytes(each) for each in more if isinstance(each, Raw))
    if b'"base64"' in prompt:
        prompt = _INLINE.sub(b'"data:application/octet-stream;base64,"', prompt)
    return prompt


def pathed(error: AspendosError) -> AspendosError:
    """An error whose path is written as Anthropic writes it, at the head of the message."""
    if not isinstance(error, InvalidField) or error.param is None:
        return error
    path = _STEP.sub(r".\1", error.param)
    said = error.message.replace(f"`{error.param}`", f"`{path}`")
    return InvalidField(said, param=path, code=error.code)
