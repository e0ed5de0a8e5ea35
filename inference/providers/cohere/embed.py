"""Embeddings of Cohere (v2/embed): texts, and pictures beside them. Pure. (https://docs.cohere.com/reference/embed)"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.data_url import written_url
from inference.ir.cards import Model
from inference.ir.content import Image, Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType
from inference.ir.errors import UpstreamGarbled
from inference.providers.cohere.usage import Reported, usage_of
from inference.providers.openai.embeddings import lost_fields, only
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_PURPOSES = {
    InputType.QUERY: "search_query",
    InputType.DOCUMENT: "search_document",
    InputType.CLASSIFICATION: "classification",
    InputType.CLUSTERING: "clustering",
}
_OWN_WORDS = frozenset({"max_tokens", "priority"})


class _Vectors(Struct, rename={"floats": "float"}):
    floats: list[Raw]


class _Answer(Struct):
    embeddings: _Vectors
    id: str | None = None
    meta: Reported | None = None


_answer = msgspec.json.Decoder(_Answer)


class CohereEmbed:
    """The exchange. Numbers are always asked for: what bytes its base64 stands for is not written anywhere."""

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Cohere must be told what the vectors are for; who does not say embeds documents.

        Raises InvalidField for tokens.
        """
        inputs = only(asked.inputs, mixed=_mixed)
        texts = all(isinstance(each, str) for each in inputs)
        purpose = _PURPOSES.get(asked.input_type or InputType.DOCUMENT)
        written: dict[str, Any] = {
            "model": model,
            "input_type": purpose or "search_document",
            "embedding_types": ["float"],
        }
        if texts:
            written["texts"] = inputs
        else:
            written["inputs"] = [
                _mixed((Text(text=each),)) if isinstance(each, str) else each for each in inputs
            ]
        if asked.dimensions is not None:
            written["output_dimension"] = asked.dimensions
        if asked.truncate is not None:
            written["truncate"] = asked.truncate.upper()
        written |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = lost_fields(asked, _OWN_WORDS, input_type=purpose is None, user=True)
        return Outgoing(path="/v2/embed", body=_encode(written), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not a list of embeddings.") from None
        return EmbeddingResult(
            vectors=tuple(each.copy() for each in answer.embeddings.floats),
            id=answer.id,
            usage=usage_of(answer.meta),
        )


def _mixed(parts: tuple[Text | Image, ...]) -> dict[str, Any]:
    return {"content": [_piece(part) for part in parts]}


def _piece(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": written_url(part.source)}}
