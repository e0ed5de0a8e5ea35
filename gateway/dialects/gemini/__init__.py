"""The Gemini dialect: generateContent as Google's clients send it. Pure.

The model stands in the path, and so does whether the answer is streamed; a dialect is therefore made for each
request. (https://ai.google.dev/api/generate-content)
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting, Writer
from gateway.dialects.gemini.answer import answer
from gateway.dialects.gemini.errors import error_body
from gateway.dialects.gemini.needs import needs
from gateway.dialects.gemini.parse import parse
from gateway.dialects.gemini.places import places
from gateway.dialects.gemini.tool_check import check_tools
from gateway.dialects.gemini.writer import GeminiVoice, GeminiWriter
from gateway.dialects.hints import Hints, least, listed, tags_of
from gateway.dialects.media_words import shows_by
from gateway.dialects.needs import once
from inference.codecs.body import check_text, decoded
from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.need import Need
from inference.ir.place import Place
from inference.wire import Tap

_BYTES = re.compile(rb'"data"\s*:\s*"[A-Za-z0-9+/_=\\-]{200,}"')
_SHOWN = b'ata"'
"""How `inlineData` and `fileData` end, in either spelling."""
_MEDIUM = b'"data":"data:x/y;base64,A"'
"""How the estimate of a prompt's tokens knows a picture, which it must not count by its bytes."""


class _Config(Struct, frozen=True, kw_only=True):
    maxOutputTokens: int | None = None  # noqa: N815 - the field's own name, which the API document shows
    max_output_tokens: int | None = None
    candidateCount: int | None = None  # noqa: N815 - likewise
    candidate_count: int | None = None


class GeminiBody(Struct, frozen=True, kw_only=True):
    """The fields of generateContent the gateway looks at, in either of Google's spellings; all others are
    forwarded as they came."""

    contents: Raw
    systemInstruction: Raw | UnsetType = UNSET  # noqa: N815 - the field's own name
    system_instruction: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    generationConfig: _Config | None = None  # noqa: N815 - likewise
    generation_config: _Config | None = None
    aspendos: Hints | UnsetType | None = UNSET


_body = msgspec.json.Decoder(GeminiBody)
_NO_CONFIG = _Config()


def without_bytes(prompt: bytes) -> bytes:
    """A prompt as its tokens are estimated: of what is inline, only that it is there."""
    return _BYTES.sub(_MEDIUM, prompt) if b'"data"' in prompt else prompt


class GeminiChatDialect:
    """Whole conversations of one request's model."""

    def __init__(self, model: str, *, stream: bool) -> None:
        self._model = model
        self._stream = stream

    def parse(self, body: bytes) -> ChatRequest:
        """Raises InvalidField."""
        return parse(body, model=self._model, stream=self._stream)

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in the request each of its messages stands."""
        return places(body)

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
        """The whole answer."""
        return answer(completion, setting)

    def writer(self, asked: ChatRequest, setting: Setting) -> Writer:
        """Writes a stream of events."""
        return GeminiWriter(setting)


class Gemini:
    """POST /v1beta/models/{model}:generateContent, and :streamGenerateContent where it is to be `stream`ed."""

    route = "gemini"
    kind = Kind.CHAT
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def __init__(self, model: str, *, stream: bool) -> None:
        self._model = model
        self._stream = stream
        self.chat: ChatDialect | None = GeminiChatDialect(model, stream=stream)

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_body, body)
        contents = bytes(asked.contents)
        if contents[:1] not in (b"[", b"{") or not contents[1:-1].strip():
            raise InvalidField(
                "Invalid value for `contents`: expected an array of at least one turn.", param="contents"
            )
        config = asked.generationConfig or asked.generation_config or _NO_CONFIG
        more = (asked.systemInstruction, asked.system_instruction, asked.tools)
        prompt = b"".join((contents, *(bytes(each) for each in more if not isinstance(each, UnsetType))))
        tools = listed(asked.tools)
        if tools:
            check_tools(body)
        shown = shows_by(_SHOWN, contents)
        return Request(
            model=self._model,
            stream=self._stream,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=without_bytes(prompt),
            max_output=least(config.maxOutputTokens, config.max_output_tokens),
            answers=config.candidateCount or config.candidate_count or 1,
            pictures=contents.count(b'"image/') if shown else 0,
            audio=shown and b'"audio/' in contents,
            tools=tools,
            tags=tags_of(asked.aspendos),
            shows=shown,
        )

    def needs(self, body: bytes) -> Sequence[Need]:
        """What of the catalogue's capabilities a request asks for."""
        return once(needs(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """Google's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> GeminiVoice:
        """How the gateway speaks inside a stream that is passed on."""
        return GeminiVoice(tap, request)
