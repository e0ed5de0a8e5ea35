"""Moderations in OpenAI's format, and in Mistral's, which is the same without `flagged`. Pure.

(https://platform.openai.com/docs/api-reference/moderations)
"""

from typing import Any

import msgspec
from msgspec import Struct

from inference.codecs.data_url import written_url
from inference.ir.cards import Model
from inference.ir.content import Image, Text
from inference.ir.errors import UpstreamGarbled
from inference.ir.moderation import Judgement, ModerationRequest, ModerationResult
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode


class _Judged(Struct):
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}
    category_applied_input_types: dict[str, tuple[str, ...] | None] | None = None
    flagged: bool | None = None


class _Answer(Struct):
    results: list[_Judged]
    id: str | None = None
    model: str | None = None


_answer = msgspec.json.Decoder(_Answer)


class OpenAIModerations:
    """The exchange. `path` is below the base URL."""

    def __init__(self, path: str = "/moderations") -> None:
        self._path = path

    def request(self, asked: ModerationRequest, *, model: str, card: Model) -> Outgoing:
        """Text and pictures that are judged together go as an array of pieces."""
        given: Any = [
            each if isinstance(each, str) else [_piece(part) for part in each] for each in asked.inputs
        ]
        if len(given) == 1 and isinstance(given[0], list):
            given = given[0]
        return Outgoing(
            path=self._path, body=_encode({"model": model, "input": given}), dropped=tuple(asked.rest)
        )

    def answer(self, body: bytes, content_type: str) -> ModerationResult:
        """Flagged, where the provider does not say so itself, is what is in any category. Raises UpstreamGarbled."""
        try:
            answer = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no moderation.") from None
        results = tuple(_judgement(each) for each in answer.results)
        return ModerationResult(results=results, model=answer.model, id=answer.id)


def _judgement(said: _Judged) -> Judgement:
    categories = {name: bool(value) for name, value in said.categories.items()}
    applied = said.category_applied_input_types
    return Judgement(
        flagged=any(categories.values()) if said.flagged is None else said.flagged,
        categories=categories,
        scores={name: value or 0.0 for name, value in said.category_scores.items()},
        applied=None if applied is None else {name: value or () for name, value in applied.items()},
    )


def _piece(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": written_url(part.source)}}
