"""Embeddings in OpenAI's format: asked for in neutral words, and read. Pure.

Voyage, Jina and Mistral answer in the same shape. Token lists are OpenAI's own and go as they are; pictures it
takes none. (https://platform.openai.com/docs/api-reference/embeddings)
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, Input
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_OWN_WORDS = frozenset({"safety_identifier"})


class _Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Item(Struct):
    embedding: Raw
    index: int | None = None


class _Answer(Struct):
    data: list[_Item]
    model: str | None = None
    id: str | None = None
    usage: _Counts | None = None


_answer = msgspec.json.Decoder(_Answer)
_string = msgspec.json.Decoder(str)


class OpenAIEmbeddings:
    """The exchange of OpenAI's own. `path` is below the base URL."""

    def __init__(self, path: str = "/embeddings") -> None:
        self._path = path

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for pictures."""
        taken: dict[str, Any] = {"model": model, "input": only(asked.inputs, tokens=True)}
        if asked.packed:
            taken["encoding_format"] = "base64"
        if asked.dimensions is not None:
            taken["dimensions"] = asked.dimensions
        if asked.user is not None:
            taken["user"] = asked.user
        taken |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = lost_fields(asked, _OWN_WORDS, input_type=True, truncate=True)
        return Outgoing(path=self._path, body=_encode(taken), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> EmbeddingResult:
        """Raises UpstreamGarbled."""
        return read_embeddings(body)


def read_embeddings(body: bytes) -> EmbeddingResult:
    """OpenAI's shape: `data` with `embedding` as numbers or base64, put in the order of `index`.

    Raises UpstreamGarbled.
    """
    try:
        answer = _answer.decode(body)
        items = sorted(enumerate(answer.data), key=_place)
        vectors = tuple(_vector(item.embedding) for _, item in items)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is not a list of embeddings.") from None
    return EmbeddingResult(vectors=vectors, model=answer.model, id=answer.id, usage=_usage(answer.usage))


def _place(numbered: tuple[int, _Item]) -> int:
    place, item = numbered
    return place if item.index is None else item.index


def _vector(given: Raw) -> Raw | str:
    return _string.decode(given) if bytes(memoryview(given)[:1]) == b'"' else given.copy()


def _usage(said: _Counts | None) -> Usage:
    """Voyage says only the total; nothing is written, so it is the input."""
    if said is None:
        return NO_USAGE
    tokens = said.prompt_tokens if said.prompt_tokens is not None else said.total_tokens
    return input_only(tokens)


def only(
    inputs: tuple[Input, ...], *, tokens: bool = False, mixed: Callable[[Any], Any] | None = None
) -> list[Any]:
    """The inputs for a format that takes texts, and `tokens` where it does; `mixed` writes text with pictures.

    Raises InvalidField for what it does not take.
    """
    written: list[Any] = []
    for place, each in enumerate(inputs):
        path = f"input[{place}]"
        if isinstance(each, str):
            written.append(each)
        elif isinstance(each[0], int):
            if not tokens:
                raise InvalidField(
                    f"Invalid value for `{path}`: this model takes texts, not tokens, which only the model they "
                    "were made for could read. Send the text itself.",
                    param=path,
                    code="not_translatable",
                )
            written.append(each)
        elif mixed is None:
            raise InvalidField(
                f"Invalid value for `{path}`: this model takes no pictures.",
                param=path,
                code="not_translatable",
            )
        else:
            written.append(mixed(each))
    return written


def lost_fields(
    asked: EmbeddingRequest,
    taken: frozenset[str],
    *,
    dimensions: bool = False,
    input_type: bool = False,
    truncate: bool = False,
    user: bool = False,
) -> tuple[str, ...]:
    """The names of what was said and is not `taken`; a flag says that the format has no word for that field."""
    lost = {
        "dimensions": dimensions and asked.dimensions is not None,
        "input_type": input_type and asked.input_type is not None,
        "truncate": truncate and asked.truncate is not None,
        "user": user and asked.user is not None,
    }
    return (
        *(name for name, gone in lost.items() if gone),
        *(name for name in asked.rest if name not in taken),
    )
