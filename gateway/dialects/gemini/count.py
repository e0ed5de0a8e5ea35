"""countTokens: how many tokens a prompt would be read as, without asking a model. Pure.

A target whose provider counts is asked. For any other the gateway estimates; how far an estimate may be off is stated
in `inference/codecs/token_estimate.py`. (https://ai.google.dev/api/tokens)
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Request
from gateway.dialects.gemini import Gemini
from gateway.dialects.gemini.errors import error_body
from gateway.dialects.gemini.writer import GeminiVoice
from inference.codecs.token_estimate import estimate_input
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.ir.need import Need
from inference.wire import Tap


class GeminiCountBody(Struct, frozen=True, kw_only=True):
    """Contents, or a whole request to be counted instead of them; each in either of Google's spellings."""

    contents: Raw | UnsetType = UNSET
    generateContentRequest: Raw | UnsetType = UNSET  # noqa: N815 - the field's own name
    generate_content_request: Raw | UnsetType = UNSET


_question = msgspec.json.Decoder(GeminiCountBody)
_encode = msgspec.json.Encoder().encode


class GeminiCount:
    """POST /v1beta/models/{model}:countTokens"""

    route = "gemini_count"
    kind = Kind.CHAT
    chat: ChatDialect | None = None
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def __init__(self, model: str) -> None:
        self._request = Gemini(model, stream=False)
        assert self._request.chat is not None
        self.counts: ChatDialect = self._request.chat

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField. The prompt is not a call's: nothing reads it."""
        request = self._request.decode(_asked(body))
        return msgspec.structs.replace(request, prompt=b"", max_output=1, answers=1)

    def whole(self, body: bytes) -> bytes:
        """The request that is to be counted, wherever it stands."""
        return _asked(body)

    def told(self, tokens: int) -> bytes:
        """A count that was asked for in other words."""
        return _encode({"totalTokens": tokens})

    def estimated(self, body: bytes) -> bytes:
        """The gateway's own answer."""
        return self.told(estimate_input(self._request.decode(_asked(body)).prompt))

    def needs(self, body: bytes) -> Sequence[Need]:
        """As the request that is counted."""
        return self._request.needs(_asked(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """Google's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> GeminiVoice:
        """Never heard: this is not streamed."""
        return GeminiVoice(tap, request)


def _asked(body: bytes) -> bytes:
    try:
        question = _question.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body
    for whole in (question.generateContentRequest, question.generate_content_request):
        if not isinstance(whole, UnsetType):
            return bytes(whole)
    return body
