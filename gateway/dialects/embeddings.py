"""Embeddings as OpenAI has them, and the fields others added. Pure.

Beyond OpenAI's: `input_type` (Cohere, Voyage), `truncate` (Cohere) or `truncation` (Voyage), and inputs that are
`{"content": [...]}` with text and pictures (OpenRouter).
(https://platform.openai.com/docs/api-reference/embeddings)
"""

from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.media_parts import Piece, part_of
from gateway.dialects.media_words import shows
from gateway.dialects.openai_exchange import OpenAIExchange
from inference.codecs.body import check_text, decoded, other_fields
from inference.codecs.vectors import packed, unpacked
from inference.ir.cards import Kind
from inference.ir.content import Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, Input, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled


class EmbeddingBody(Struct, frozen=True, kw_only=True):
    """The same for embeddings."""

    model: str
    input: Raw
    dimensions: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


class _Mixed(Struct):
    content: list[Piece]


class _Whole(Struct):
    model: str
    input: str | list[str | int | list[int] | _Mixed]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    input_type: str | None = None
    truncate: str | None = None
    truncation: bool | None = None


_KNOWN = frozenset({*_Whole.__struct_fields__, "aspendos"})
_embedding = msgspec.json.Decoder(EmbeddingBody)
_whole = msgspec.json.Decoder(_Whole)
_encode = msgspec.json.Encoder().encode
PURPOSES = {
    **{purpose.value: purpose for purpose in InputType},
    "passage": InputType.DOCUMENT,
    "search_query": InputType.QUERY,
    "search_document": InputType.DOCUMENT,
    "retrieval_query": InputType.QUERY,
    "retrieval_document": InputType.DOCUMENT,
    "semantic_similarity": InputType.SIMILARITY,
    "question_answering": InputType.QUESTION,
    "fact_verification": InputType.FACT,
    "code_retrieval_query": InputType.CODE,
}
"""The words of Cohere, Voyage, NVIDIA and Google, in small letters."""


class Embeddings(OpenAIExchange):
    """POST /v1/embeddings"""

    route = "embeddings"
    kind = Kind.EMBEDDING

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_embedding, body)
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
            shows=shows(body),
        )

    def parse(self, body: bytes) -> EmbeddingRequest:
        """Raises InvalidField with the field's path."""
        asked = decoded(_whole, body)
        if asked.dimensions is not None and asked.dimensions < 1:
            raise InvalidField("Invalid value for `dimensions`: expected 1 or more.", param="dimensions")
        return EmbeddingRequest(
            model=asked.model,
            inputs=_inputs(asked.input),
            dimensions=asked.dimensions,
            packed=asked.encoding_format == "base64",
            input_type=_purpose(asked.input_type),
            truncate=_truncate(asked),
            user=asked.user,
            rest=other_fields(body, _KNOWN),
        )

    def answer(self, result: EmbeddingResult, asked: EmbeddingRequest, setting: Setting) -> Rendered:
        """OpenAI's list of embeddings, in the encoding that was asked for. Raises UpstreamGarbled."""
        if len(result.vectors) != len(asked.inputs):
            raise UpstreamGarbled(
                f"The upstream sent {len(result.vectors)} embeddings for {len(asked.inputs)} inputs."
            )
        tokens = result.usage.input_tokens
        return Rendered(
            _encode(
                {
                    "object": "list",
                    "data": [
                        {"object": "embedding", "index": index, "embedding": _vector(vector, asked.packed)}
                        for index, vector in enumerate(result.vectors)
                    ],
                    "model": result.model or setting.model,
                    "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
                }
            )
        )


def _inputs(given: str | list[str | int | list[int] | _Mixed]) -> tuple[Input, ...]:
    """Every input that becomes a vector. A flat list of numbers is the tokens of one."""
    if isinstance(given, str):
        return (_not_empty(given, "input"),)
    if not given:
        raise InvalidField("Invalid value for `input`: expected at least one input.", param="input")
    if all(isinstance(item, int) for item in given):
        return (tuple(cast(list[int], given)),)
    return tuple(_input(item, f"input[{place}]") for place, item in enumerate(given))


def _input(item: str | int | list[int] | _Mixed, path: str) -> Input:
    if isinstance(item, int):
        raise InvalidField(
            f"Invalid value for `{path}`: a token among other inputs; send `input` as texts, or as lists of tokens.",
            param=path,
        )
    if isinstance(item, str):
        return _not_empty(item, path)
    if isinstance(item, list):
        return _not_empty(tuple(item), path)
    parts = tuple(part_of(piece, f"{path}.content[{place}]") for place, piece in enumerate(item.content))
    _not_empty(parts, f"{path}.content")
    only = parts[0]
    return only.text if len(parts) == 1 and isinstance(only, Text) else parts


def _not_empty(item: Any, path: str) -> Any:
    if not item:
        raise InvalidField(f"Invalid value for `{path}`: it is empty.", param=path)
    return item


def _purpose(given: str | None) -> InputType | None:
    if given is None:
        return None
    purpose = PURPOSES.get(given.lower())
    if purpose is None:
        raise InvalidField(
            f"Invalid value for `input_type`: expected one of {', '.join(InputType)}.", param="input_type"
        )
    return purpose


def _truncate(asked: _Whole) -> Truncate | None:
    if asked.truncate is None:
        if asked.truncation is None:
            return None
        return Truncate.END if asked.truncation else Truncate.NONE
    try:
        return Truncate(asked.truncate.lower())
    except ValueError:
        raise InvalidField(
            f"Invalid value for `truncate`: expected one of {', '.join(Truncate)}.", param="truncate"
        ) from None


def _vector(vector: Raw | str, wanted_packed: bool) -> Raw | str | list[float]:
    if isinstance(vector, str):
        return vector if wanted_packed else unpacked(vector)
    return packed(vector) if wanted_packed else vector
