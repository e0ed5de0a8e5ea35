"""OpenAI's count of what a response would read, as a dialect. Pure.

A target whose provider counts is asked. For any other the gateway estimates; how far an estimate may be off is stated
in `inference/codecs/token_estimate.py`. What came before, by `previous_response_id`, is counted with it.
(https://platform.openai.com/docs/api-reference/responses/input-tokens)
"""

from collections.abc import Sequence

import msgspec

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Request, Thread
from gateway.dialects.openai_errors import error_body
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.conversation import Responses as Conversation
from gateway.dialects.openai_responses.voice import ResponsesVoice
from inference.codecs.token_estimate import estimate_input
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.wire import Tap

_encode = msgspec.json.Encoder().encode


class InputTokens:
    """POST /v1/responses/input_tokens"""

    route = "input_tokens"
    kind = Kind.CHAT
    chat: ChatDialect | None = None
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()
    counts: ChatDialect = Conversation()

    def __init__(self) -> None:
        self._request = Responses()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField. The prompt is not a call's: nothing reads it."""
        request = self._request.decode(body)
        previous = request.thread.previous if request.thread is not None else None
        thread = None if previous is None else Thread(previous=previous, keep=False, counted=True)
        return msgspec.structs.replace(request, stream=False, prompt=b"", max_output=1, thread=thread)

    def whole(self, body: bytes) -> bytes:
        """The very request."""
        return body

    def told(self, tokens: int) -> bytes:
        """A count that was asked for in other words."""
        return _encode({"object": "response.input_tokens", "input_tokens": tokens})

    def estimated(self, body: bytes) -> bytes:
        """The gateway's own answer."""
        return self.told(estimate_input(self._request.decode(body).prompt))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> ResponsesVoice:
        """Never heard: this is not streamed."""
        return ResponsesVoice(tap)
