"""Embeddings through InvokeModel: Titan, Cohere and Nova, each in its maker's own words. Pure.

Titan and Nova take one text a call. Only Titan says how many tokens it took; the others' calls are counted by the
gateway. (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html)
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.ir.cards import Model
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.bedrock.naming import place
from inference.providers.openai.embeddings import lost_fields, only
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_MOST_TOKENS = 100_000_000
_COHERE_WORDS = frozenset({"max_tokens"})
_TITAN_WORDS = frozenset({"normalize"})
_COHERE = {
    InputType.QUERY: "search_query",
    InputType.DOCUMENT: "search_document",
    InputType.CLASSIFICATION: "classification",
    InputType.CLUSTERING: "clustering",
}
_NOVA = {
    InputType.QUERY: "GENERIC_RETRIEVAL",
    InputType.DOCUMENT: "GENERIC_INDEX",
    InputType.CLASSIFICATION: "CLASSIFICATION",
    InputType.CLUSTERING: "CLUSTERING",
}
_FIRST_TITAN = "titan-embed-text-v1"


class _Floats(Struct, rename={"floats": "float"}):
    floats: list[Raw]


class _One(Struct):
    embedding: Raw


class _Answer(Struct, rename={"tokens": "inputTextTokenCount"}):
    embedding: Raw = Raw(b"")
    embeddings: Raw = Raw(b"")
    tokens: int | None = None
    id: str | None = None


_answer = msgspec.json.Decoder(_Answer)
_floats = msgspec.json.Decoder(_Floats)
_list = msgspec.json.Decoder(list[Raw])
_one = msgspec.json.Decoder(_One)

_Write = Callable[[EmbeddingRequest], tuple[dict[str, Any], tuple[str, ...]]]


class BedrockEmbeddings:
    """The exchange."""

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for tokens, pictures, more texts than one call takes, and models of other makers."""
        write = next((write for mark, write in _MAKERS if mark in model), None)
        if write is None:
            raise InvalidField(
                f"Bedrock's model `{model}` makes no embeddings that the gateway knows how to ask for: it knows "
                "Titan, Cohere and Nova.",
                param="model",
                code="route_not_served",
            )
        body, dropped = write(asked)
        if _FIRST_TITAN in model and body.pop("dimensions", None) is not None:
            dropped = (*dropped, "dimensions")
        return Outgoing(path=place(model, "invoke"), body=_encode(body), dropped=dropped)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        try:
            answer = _answer.decode(body)
            vectors = [answer.embedding] if answer.embedding else _vectors(answer.embeddings)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no embedding.") from None
        return EmbeddingResult(
            vectors=tuple(each.copy() for each in vectors), id=answer.id, usage=_usage(answer.tokens)
        )


def _vectors(given: Raw) -> list[Raw]:
    """By type, as newer models of Cohere's answer; a list, as older ones; a list of objects, as Nova."""
    if bytes(given).startswith(b"{"):
        return _floats.decode(given).floats
    found = _list.decode(given)
    return [_one.decode(each).embedding if bytes(each).startswith(b"{") else each for each in found]


def _usage(tokens: int | None) -> Usage:
    if tokens is None or not 0 <= tokens <= _MOST_TOKENS:
        return NO_USAGE
    return Usage(input_tokens=tokens, source=UsageSource.REPORTED)


def _single(asked: EmbeddingRequest) -> str:
    texts = only(asked.inputs)
    if len(texts) != 1:
        raise InvalidField(
            "Invalid value for `input`: this model embeds one text a call. Send them one by one.",
            param="input",
            code="not_translatable",
        )
    return texts[0]


def _titan(asked: EmbeddingRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    written: dict[str, Any] = {"inputText": _single(asked)}
    if asked.dimensions is not None:
        written["dimensions"] = asked.dimensions
    written |= {name: value for name, value in asked.rest.items() if name in _TITAN_WORDS}
    return written, lost_fields(asked, _TITAN_WORDS, input_type=True, truncate=True, user=True)


def _cohere(asked: EmbeddingRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    purpose = _COHERE.get(asked.input_type or InputType.DOCUMENT)
    written: dict[str, Any] = {"texts": only(asked.inputs), "input_type": purpose or "search_document"}
    if asked.truncate is not None:
        written["truncate"] = asked.truncate.upper()
    if asked.dimensions is not None:
        written["output_dimension"] = asked.dimensions
    written |= {name: value for name, value in asked.rest.items() if name in _COHERE_WORDS}
    return written, lost_fields(asked, _COHERE_WORDS, input_type=purpose is None, user=True)


def _nova(asked: EmbeddingRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    purpose = _NOVA.get(asked.input_type or InputType.DOCUMENT)
    truncate = (asked.truncate or Truncate.NONE).upper()
    params: dict[str, Any] = {
        "embeddingPurpose": purpose or "GENERIC_INDEX",
        "text": {"value": _single(asked), "truncationMode": truncate},
    }
    if asked.dimensions is not None:
        params["embeddingDimension"] = asked.dimensions
    written = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}
    return written, lost_fields(asked, frozenset(), input_type=purpose is None, user=True)


_MAKERS: tuple[tuple[str, _Write], ...] = (
    ("amazon.titan-embed-text", _titan),
    ("cohere.embed", _cohere),
    ("amazon.nova-2-multimodal-embeddings", _nova),
)
