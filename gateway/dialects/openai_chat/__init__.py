"""The OpenAI chat dialect: what its clients send, understood only as far as the gateway must. Pure.

(https://platform.openai.com/docs/api-reference/chat)
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.hints import Hints, least, listed, tags_of
from gateway.dialects.media_words import shows
from gateway.dialects.needs import once
from gateway.dialects.openai_chat.answer import answer
from gateway.dialects.openai_chat.needs import needs
from gateway.dialects.openai_chat.parse import parse
from gateway.dialects.openai_chat.places import places
from gateway.dialects.openai_chat.tool_check import check_functions, check_tools
from gateway.dialects.openai_chat.writer import ChatWriter
from gateway.dialects.openai_errors import OpenAIVoice, error_body
from inference.codecs.body import check_text, decoded
from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.need import Need
from inference.ir.place import Place
from inference.wire import StreamOptions, Tap


class ChatBody(Struct, frozen=True, kw_only=True):
    """The fields of a chat completion the gateway looks at; all others are forwarded as they came."""

    model: str
    messages: Raw
    tools: Raw | UnsetType = UNSET
    functions: Raw | UnsetType = UNSET
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


_chat = msgspec.json.Decoder(ChatBody)


class OpenAIChatDialect:
    """The whole conversation, for targets that speak another format."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        return parse(body)

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in the request each of its messages stands."""
        return places(body, messages)

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
        """What cannot be said in it is named in what is rendered."""
        return answer(completion, asked, setting)

    def writer(self, asked: ChatRequest, setting: Setting) -> ChatWriter:
        """For one answer."""
        return ChatWriter(asked, setting)


class Chat:
    """POST /v1/chat/completions"""

    route = "chat"
    kind = Kind.CHAT
    chat: ChatDialect | None = OpenAIChatDialect()
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_chat, body)
        messages = bytes(asked.messages)
        if not messages.startswith(b"["):
            raise InvalidField(
                "Invalid value for `messages`: expected an array of messages.", param="messages"
            )
        if not messages[1:-1].strip():
            raise InvalidField(
                "Invalid value for `messages`: expected at least one message.", param="messages"
            )
        tools = listed(asked.tools)
        if tools and isinstance(asked.tools, Raw):
            check_tools(asked.tools, messages)
        if isinstance(asked.functions, Raw) and listed(asked.functions):
            check_functions(asked.functions)
        shown = shows(messages)
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=asked.stream_options,
            hints=asked.aspendos is not UNSET,
            prompt=messages if asked.tools is UNSET else messages + bytes(asked.tools),
            max_output=least(asked.max_completion_tokens, asked.max_tokens),
            answers=asked.n or 1,
            pictures=_pictures(messages) if shown else 0,
            audio=shown and b'"input_audio"' in messages,
            tools=tools,
            tags=tags_of(asked.aspendos),
            shows=shown,
        )

    def needs(self, body: bytes) -> Sequence[Need]:
        """What of the catalogue's capabilities a request asks for."""
        return once(needs(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> OpenAIVoice:
        """How the gateway speaks inside a stream."""
        return OpenAIVoice(tap, request)


def _pictures(messages: bytes) -> int:
    """How many images a chat shows. Within a string the quotes would be escaped, so only keys and types match."""
    return (messages.count(b'"image_url"') + 1) // 2
