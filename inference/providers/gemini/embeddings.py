"""Embeddings of Google AI Studio (batchEmbedContents). Pure. (https://ai.google.dev/api/embeddings)

Older models do not say how many tokens they took; such a call is counted by the gateway. Pictures go by value only.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.content import Image, Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.providers.gemini.lanes import GeminiLane
from inference.providers.openai.embeddings import lost_fields, only
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
TASKS = {
    InputType.QUERY: "RETRIEVAL_QUERY",
    InputType.DOCUMENT: "RETRIEVAL_DOCUMENT",
    InputType.CLASSIFICATION: "CLASSIFICATION",
    InputType.CLUSTERING: "CLUSTERING",
    InputType.SIMILARITY: "SEMANTIC_SIMILARITY",
    InputType.QUESTION: "QUESTION_ANSWERING",
    InputType.FACT: "FACT_VERIFICATION",
    InputType.CODE: "CODE_RETRIEVAL_QUERY",
}


class _Vector(Struct):
    values: Raw


class _Counts(Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Answer(Struct, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: _Counts | None = None


_answer = msgspec.json.Decoder(_Answer)


class GeminiEmbeddings:
    """The exchange; `lane` knows where a model is."""

    def __init__(self, lane: GeminiLane) -> None:
        self._lane = lane

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """One request for each input. Raises InvalidField for tokens, and pictures by address."""
        place = self._lane.place(model)
        entry: dict[str, Any] = {"model": place.lstrip("/")}
        if asked.input_type is not None:
            entry["taskType"] = TASKS[asked.input_type]
        if asked.dimensions is not None:
            entry["outputDimensionality"] = asked.dimensions
        parts = [
            [{"text": each}] if isinstance(each, str) else each for each in only(asked.inputs, mixed=mixed)
        ]
        body = {"requests": [{**entry, "content": {"parts": each}} for each in parts]}
        lost = lost_fields(asked, frozenset(), truncate=True, user=True)
        return Outgoing(path=f"{place}:batchEmbedContents", body=_encode(body), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not a list of embeddings.") from None
        vectors = tuple(each.values.copy() for each in answer.embeddings)
        said = answer.usage_metadata
        usage = input_only(None if said is None else said.prompt_token_count)
        return EmbeddingResult(vectors=vectors, usage=usage)


def mixed(parts: tuple[Text | Image, ...]) -> list[dict[str, Any]]:
    """An input of several parts. Raises InvalidField for pictures by address."""
    return [_part(part) for part in parts]


def _part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    source = part.source
    if source.data is None:
        raise InvalidField(
            "This model takes pictures by value only: send a `data:` URL.",
            param="input",
            code="not_translatable",
        )
    return {"inlineData": {"mimeType": source.media_type or "image/png", "data": source.data}}
