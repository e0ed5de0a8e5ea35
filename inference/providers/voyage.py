"""Voyage's wire format: embeddings of text and pictures, and rankings. Pure.

Almost OpenAI's: floats are what it answers unless base64 is asked for, it calls the length of a vector
`output_dimension`, and wants to know whether a question or a document is embedded.
(https://docs.voyageai.com/reference)
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from inference.codecs.data_url import written_url
from inference.ir.cards import Kind, Model
from inference.ir.content import Image, Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType, Truncate
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.ir.rerank import RerankRequest, RerankResult
from inference.providers.cohere.rerank import Counts, Result, counted, ranked
from inference.providers.openai.embeddings import lost_fields, only, read_embeddings
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_PURPOSES = {InputType.QUERY: "query", InputType.DOCUMENT: "document"}
_NO_WORDS: frozenset[str] = frozenset()


class VoyageEmbeddings:
    """The exchange. Inputs with pictures go to the endpoint of the multimodal models, all of a request together."""

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for tokens."""
        inputs = only(asked.inputs, mixed=_mixed)
        pictures = any(not isinstance(each, str) for each in inputs)
        purpose = None if asked.input_type is None else _PURPOSES.get(asked.input_type)
        written: dict[str, Any] = {"model": model}
        if pictures:
            written["inputs"] = [
                _mixed((Text(text=each),)) if isinstance(each, str) else each for each in inputs
            ]
        else:
            written["input"] = inputs
        if purpose is not None:
            written["input_type"] = purpose
        if asked.packed:
            written["output_encoding" if pictures else "encoding_format"] = "base64"
        if asked.dimensions is not None:
            written["output_dimension"] = asked.dimensions
        start = asked.truncate is Truncate.START
        if asked.truncate is not None and not start:
            written["truncation"] = asked.truncate is Truncate.END
        lost = lost_fields(asked, _NO_WORDS, input_type=purpose is None, truncate=start, user=True)
        path = "/multimodalembeddings" if pictures else "/embeddings"
        return Outgoing(path=path, body=_encode(written), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        return read_embeddings(body)


class _Ranking(Struct):
    data: list[Result]
    model: str | None = None
    usage: Counts | None = None


_ranking = msgspec.json.Decoder(_Ranking)


class VoyageRerank:
    """The exchange."""

    def request(self, asked: RerankRequest, *, model: str, card: Model) -> Outgoing:
        """Documents go as their texts; too long ones lose their end, which is Voyage's own default."""
        written: dict[str, Any] = {
            "model": model,
            "query": asked.query,
            "documents": [document.text for document in asked.documents],
        }
        if asked.top_n is not None:
            written["top_k"] = asked.top_n
        if "truncation" in asked.rest:
            written["truncation"] = asked.rest["truncation"]
        lost = [name for name in asked.rest if name != "truncation"]
        if asked.max_tokens is not None:
            lost.append("max_tokens_per_doc")
        return Outgoing(path="/rerank", body=_encode(written), dropped=tuple(lost))

    def answer(self, body: bytes, content_type: str) -> RerankResult:
        """Raises UpstreamGarbled."""
        try:
            answer = _ranking.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not a ranking.") from None
        return RerankResult(results=ranked(answer.data), model=answer.model, usage=counted(answer.usage))


class Voyage:
    """The format. The base URL ends in /v1."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {
        Kind.EMBEDDING: VoyageEmbeddings(),
        Kind.RERANK: VoyageRerank(),
    }
    probe: str = "/files"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"detail": ...}`."""
        return read_error(status, retry_after, body)


def _mixed(parts: tuple[Text | Image, ...]) -> dict[str, Any]:
    return {"content": [_piece(part) for part in parts]}


def _piece(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if part.source.url is not None:
        return {"type": "image_url", "image_url": part.source.url}
    return {"type": "image_base64", "image_base64": written_url(part.source)}


WIRE = Voyage()
