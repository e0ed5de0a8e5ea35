"""POST /v1/messages/count_tokens: how many tokens a message would be read as, without asking a model.

A target whose provider counts (Anthropic, Bedrock, Google, OpenAI) is asked, at no charge. For any other the gateway
estimates, and says so in `x-aspendos-estimated: true`; how far an estimate may be off is stated in
`inference/codecs/token_estimate.py`.
Limits on requests hold; of a limit on tokens nothing is used up, for a model reads none.
(https://docs.anthropic.com/en/api/messages-count-tokens)
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.anthropic_messages import (
    FORWARDED,
    SHOWN,
    MessagesChat,
    MessagesVoice,
    checked_messages,
    lane_of,
    pathed,
    prompt_of,
)
from gateway.dialects.anthropic_messages.errors import error_body
from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Request
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.media_words import shows_by
from inference.codecs.body import check_text, decode_fields, encode_fields, explain, raw
from inference.codecs.token_estimate import estimate_input
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.wire import Tap


class CountTokensBody(Struct, frozen=True, kw_only=True):
    """The fields of the question the gateway looks at; all others are forwarded as they came."""

    model: str
    messages: Raw
    system: Raw | UnsetType = UNSET
    tools: Raw | UnsetType = UNSET
    aspendos: Hints | UnsetType | None = UNSET


_body = msgspec.json.Decoder(CountTokensBody)
_encode = msgspec.json.Encoder().encode


class CountTokens:
    """Counts, or estimates."""

    route = "count_tokens"
    kind = Kind.CHAT
    chat: ChatDialect | None = None
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = FORWARDED
    counts: ChatDialect = MessagesChat()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField. The prompt is not a call's: nothing reads it."""
        asked = _read(body)
        messages = checked_messages(asked.messages)
        return Request(
            model=asked.model,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=b"",
            max_output=1,
            lane=lane_of(self.route, messages),
            tags=tags_of(asked.aspendos),
            shows=shows_by(SHOWN, messages),
        )

    def whole(self, body: bytes) -> bytes:
        """A message with this prompt: a limit to its answer is what the question lacks."""
        fields = decode_fields(body)
        fields.setdefault("max_tokens", raw(1))
        return encode_fields(fields)

    def told(self, tokens: int) -> bytes:
        """A count that was asked for in other words."""
        return _encode({"input_tokens": tokens})

    def estimated(self, body: bytes) -> bytes:
        """The gateway's own answer."""
        asked = _read(body)
        return self.told(estimate_input(prompt_of(bytes(asked.messages), asked.system, asked.tools)))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """Anthropic's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> MessagesVoice:
        """Never heard: this is not streamed."""
        return MessagesVoice(tap)


def _read(body: bytes) -> CountTokensBody:
    check_text(body)
    try:
        return _body.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise pathed(explain(body, error)) from None
