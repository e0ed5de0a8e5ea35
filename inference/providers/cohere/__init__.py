"""Cohere's own wire format: chat, embeddings and rankings of its second version. Pure.

The base URL is the root, https://api.cohere.com. Its first version (`/v1/chat`, `/v1/generate`, `/v1/rerank`) is not
spoken: whatever it served, the second serves. (https://docs.cohere.com/reference/about)
"""

from collections.abc import Mapping

from inference.codecs.causes import Cause
from inference.codecs.overflow import OF_COHERE, Overflow
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, UpstreamRefused
from inference.providers.cohere.chat import CohereChat
from inference.providers.cohere.embed import CohereEmbed
from inference.providers.cohere.rerank import CohereRerank
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane

_BLOCKED, _CANCELLED = 498, 499
_OVERFLOW = Overflow(*OF_COHERE)


class Cohere:
    """Nobody else's dialect goes through unchanged, so it has no lane."""

    lanes: Mapping[str, Lane] = {}
    chat: ChatFormat | None = CohereChat()
    exchanges: Mapping[Kind, Exchange] = {
        Kind.EMBEDDING: CohereEmbed(),
        Kind.RERANK: CohereRerank(),
    }
    probe: str = "/v1/models"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"message": ...}`, and 498 and 499 for blocked content and cancelled calls.

        (https://docs.cohere.com/reference/errors)
        """
        if status == _BLOCKED:
            error = read_error(400, retry_after, body)
            return UpstreamRefused(error.message, code=Cause.POLICY)
        status = 503 if status == _CANCELLED else status
        return read_error(status, retry_after, body, missing=Cause.MODEL, overflow=_OVERFLOW)


WIRE = Cohere()
