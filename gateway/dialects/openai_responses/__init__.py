"""The OpenAI Responses dialect: what its clients send, understood only as far as the gateway must. Pure.

(https://platform.openai.com/docs/api-reference/responses)
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Request, Thread
from gateway.dialects.hints import Hints, least, listed, tags_of
from gateway.dialects.media_words import shows
from gateway.dialects.needs import once
from gateway.dialects.openai_errors import error_body
from gateway.dialects.openai_responses.conversation import Responses as Conversation
from gateway.dialects.openai_responses.needs import needs
from gateway.dialects.openai_responses.tool_check import check_tools
from gateway.dialects.openai_responses.voice import ResponsesVoice
from inference.codecs.body import check_text, decoded
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.need import Need
from inference.wire import Tap


class ResponseBody(Struct, frozen=True, kw_only=True):
    """The fields of a request for a response the gateway looks at; all others are forwarded as they came."""

    model: str
    input: Raw | UnsetType = UNSET
    instructions: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: Raw | UnsetType = UNSET
    aspendos: Hints | UnsetType | None = UNSET


_body = msgspec.json.Decoder(ResponseBody)
_LATER = "is not supported by this gateway."


class Responses:
    """POST /v1/responses"""

    route = "responses"
    kind = Kind.CHAT
    chat: ChatDialect | None = Conversation()
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_body, body)
        _refuse_unserved(asked)
        given = _input(asked)
        tools = listed(asked.tools)
        if tools and isinstance(asked.tools, Raw):
            check_tools(asked.tools, given, continued=asked.previous_response_id is not None)
        shown = shows(given)
        more = (given, asked.instructions, asked.tools)
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=b"".join(bytes(each) for each in more if each is not UNSET),
            max_output=least(asked.max_output_tokens),
            pictures=given.count(b'"input_image"') if shown else 0,
            audio=shown and b'"input_audio"' in given,
            tools=tools,
            tags=tags_of(asked.aspendos),
            shows=shown,
            thread=Thread(previous=asked.previous_response_id, keep=asked.store is not False),
        )

    def needs(self, body: bytes) -> Sequence[Need]:
        """What of the catalogue's capabilities a request asks for."""
        return once(needs(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> ResponsesVoice:
        """How the gateway speaks inside a stream that is passed on."""
        return ResponsesVoice(tap)


def _refuse_unserved(asked: ResponseBody) -> None:
    """What OpenAI does with objects it keeps itself, and nobody keeps here. Raises InvalidField."""
    if asked.background:
        raise InvalidField(
            f"`background` {_LATER} Ask for a stream, or wait for the answer.",
            param="background",
            code="not_supported",
        )
    if asked.conversation is not UNSET and bytes(asked.conversation) != b"null":
        raise InvalidField(
            f"`conversation` {_LATER} Name the response before this one as `previous_response_id`.",
            param="conversation",
            code="not_supported",
        )


def _input(asked: ResponseBody) -> bytes:
    """The raw input. Raises InvalidField where it is neither text nor a list with something in it."""
    given = b"" if asked.input is UNSET else bytes(asked.input)
    if given.startswith(b'"'):
        return given
    if given.startswith(b"["):
        if given[1:-1].strip() or asked.previous_response_id is not None:
            return given
        raise InvalidField("Invalid value for `input`: expected at least one item.", param="input")
    if given in (b"", b"null"):
        if asked.previous_response_id is not None:
            return b"[]"
        raise InvalidField("Missing required field `input`.", param="input", code="missing_field")
    raise InvalidField("Invalid value for `input`: expected a string or an array of items.", param="input")
