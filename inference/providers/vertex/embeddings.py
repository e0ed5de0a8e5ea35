"""Embeddings of Vertex: by :embedContent for Gemini's newer models, by :predict for all others. Pure.

A call of :embedContent embeds one input. It tells how many tokens that took.
(https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api)
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.providers.gemini.embeddings import TASKS, mixed
from inference.providers.gemini.lanes import GeminiLane
from inference.providers.openai.embeddings import lost_fields, only
from inference.providers.vertex.predictions import VertexPredictions
from inference.wire import Outgoing

_BY_PREDICT = ("gemini-embedding-001", "gemini-embedding-exp")
_encode = msgspec.json.Encoder().encode


class _Vector(Struct):
    values: Raw


class _Counts(Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Embedded(Struct, rename="camel"):
    embedding: _Vector
    usage_metadata: _Counts | None = None


class _Shape(Struct):
    embedding: Raw = Raw(b"")


_embedded = msgspec.json.Decoder(_Embedded)
_shape = msgspec.json.Decoder(_Shape)


class VertexEmbeddings:
    """The exchange. `head` goes before the model in the path."""

    def __init__(self, head: str) -> None:
        self._lane = GeminiLane(head)
        self._predictions = VertexPredictions(head)

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for tokens, pictures that a model does not take, and more inputs than one call does."""
        name = model.rpartition("/")[2]
        if "gemini" not in name or name.startswith(_BY_PREDICT):
            return self._predictions.request(asked, model=model, card=card)
        inputs = only(asked.inputs, mixed=mixed)
        if len(inputs) != 1:
            raise InvalidField(
                "Invalid value for `input`: this model embeds one input a call. Send them one by one.",
                param="input",
                code="not_translatable",
            )
        parts = [{"text": inputs[0]}] if isinstance(inputs[0], str) else inputs[0]
        config: dict[str, Any] = {}
        if asked.input_type is not None:
            config["taskType"] = TASKS[asked.input_type]
        if asked.dimensions is not None:
            config["outputDimensionality"] = asked.dimensions
        if asked.truncate in (Truncate.NONE, Truncate.END):
            config["autoTruncate"] = asked.truncate is Truncate.END
        body: dict[str, Any] = {"content": {"parts": parts}}
        if config:
            body["embedContentConfig"] = config
        lost = lost_fields(asked, frozenset(), truncate=asked.truncate is Truncate.START, user=True)
        return Outgoing(path=f"{self._lane.place(model)}:embedContent", body=_encode(body), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        try:
            if not _shape.decode(body).embedding:
                return self._predictions.answer(body, content_type)
            said = _embedded.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no embedding.") from None
        counts = said.usage_metadata
        usage = input_only(None if counts is None else counts.prompt_token_count)
        return EmbeddingResult(vectors=(said.embedding.values.copy(),), usage=usage)
