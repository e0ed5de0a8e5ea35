"""Embeddings at Vertex, of the models that `predict`. Pure.

(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api)
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, Truncate
from inference.ir.errors import UpstreamGarbled
from inference.providers.gemini.embeddings import TASKS
from inference.providers.gemini.lanes import GeminiLane
from inference.providers.openai.embeddings import lost_fields, only
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode


class _Statistics(Struct):
    token_count: float | None = None


class _Predicted(Struct):
    values: Raw
    statistics: _Statistics | None = None


class _Prediction(Struct):
    embeddings: _Predicted


class _Predictions(Struct):
    predictions: list[_Prediction]


_predictions = msgspec.json.Decoder(_Predictions)


class VertexPredictions:
    """The exchange. `head` goes before the model in the path."""

    def __init__(self, head: str) -> None:
        self._lane = GeminiLane(head)

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for tokens and pictures."""
        more = {} if asked.input_type is None else {"task_type": TASKS[asked.input_type]}
        body: dict[str, Any] = {"instances": [{"content": text, **more} for text in only(asked.inputs)]}
        parameters: dict[str, Any] = {}
        if asked.dimensions is not None:
            parameters["outputDimensionality"] = asked.dimensions
        if asked.truncate in (Truncate.NONE, Truncate.END):
            parameters["autoTruncate"] = asked.truncate is Truncate.END
        if parameters:
            body["parameters"] = parameters
        lost = lost_fields(asked, frozenset(), truncate=asked.truncate is Truncate.START, user=True)
        return Outgoing(path=f"{self._lane.place(model)}:predict", body=_encode(body), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        try:
            said = [each.embeddings for each in _predictions.decode(body).predictions]
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not a list of embeddings.") from None
        counts = [each.statistics.token_count if each.statistics is not None else None for each in said]
        known = [int(count) for count in counts if count is not None]
        tokens = sum(known) if known and len(known) == len(counts) else None
        return EmbeddingResult(vectors=tuple(each.values.copy() for each in said), usage=input_only(tokens))
