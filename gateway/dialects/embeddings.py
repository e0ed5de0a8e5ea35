"""Embeddings as OpenAI has them. Pure. (https://platform.openai.com/docs/api-reference/embeddings)"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Request
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.openai_errors import OpenAIVoice, error_body
from inference.codecs.body import check_text, explain
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, InvalidField
from inference.wire import Tap


class EmbeddingBody(Struct, frozen=True, kw_only=True):
    """The same for embeddings."""

    model: str
    input: Raw
    dimensions: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


_embedding = msgspec.json.Decoder(EmbeddingBody)


class Embeddings:
    """POST /v1/embeddings"""

    route = "embeddings"
    kind = Kind.EMBEDDING
    chat: ChatDialect | None = None
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        try:
            asked = _embedding.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise explain(body, error) from None
        text = bytes(asked.input)
        if text[:1] not in (b'"', b"["):
            raise InvalidField(
                "Invalid value for `input`: expected a string, an array of strings or arrays of tokens.",
                param="input",
            )
        return Request(
            model=asked.model,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=text,
            tags=tags_of(asked.aspendos),
        )

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> OpenAIVoice:
        """How the gateway speaks inside a stream."""
        return OpenAIVoice(tap, request)
