"""Jina's wire format: rankings in the shape clients speak themselves, embeddings almost as OpenAI's. Pure.

(https://api.jina.ai/docs)
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from inference.codecs.data_url import written_url
from inference.ir.cards import Kind, Model
from inference.ir.content import Image, Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType, Truncate
from inference.ir.errors import AspendosError, InvalidField
from inference.providers.cohere.rerank import rerank_lane
from inference.providers.openai.embeddings import lost_fields, only, read_embeddings
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_TASKS = {
    InputType.QUERY: "retrieval.query",
    InputType.DOCUMENT: "retrieval.passage",
    InputType.CLASSIFICATION: "classification",
    InputType.CLUSTERING: "separation",
    InputType.SIMILARITY: "text-matching",
}
_OWN_WORDS = frozenset({"task", "late_chunking", "normalized"})


class JinaEmbeddings:
    """The exchange. What the vectors are for is Jina's `task`."""

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for tokens, and for text and pictures that are to become one vector."""
        written: dict[str, Any] = {"model": model, "input": only(asked.inputs, mixed=_picture)}
        task = None if asked.input_type is None else _TASKS.get(asked.input_type)
        if task is not None:
            written["task"] = task
        if asked.packed:
            written["embedding_type"] = "base64"
        if asked.dimensions is not None:
            written["dimensions"] = asked.dimensions
        start = asked.truncate is Truncate.START
        if asked.truncate is not None and not start:
            written["truncate"] = asked.truncate is Truncate.END
        written |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = lost_fields(asked, _OWN_WORDS, input_type=task is None, truncate=start, user=True)
        return Outgoing(path="/embeddings", body=_encode(written), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        return read_embeddings(body)


class Jina:
    """The format. The base URL ends in /v1."""

    lanes: ClassVar[Mapping[str, Lane]] = {"rerank": rerank_lane("/rerank")}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: JinaEmbeddings()}
    probe: str = "/models"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"detail": ...}`."""
        return read_error(status, retry_after, body)


def _picture(parts: tuple[Text | Image, ...]) -> dict[str, Any]:
    only_part = parts[0]
    if len(parts) > 1 or isinstance(only_part, Text):
        raise InvalidField(
            "This model makes one vector of one text or one picture, not of several together: send them as inputs "
            "of their own.",
            param="input",
            code="not_translatable",
        )
    source = only_part.source
    return {"image": source.url if source.url is not None else source.data or written_url(source)}


WIRE = Jina()
