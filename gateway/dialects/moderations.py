"""Moderations as OpenAI has them. Pure. (https://platform.openai.com/docs/api-reference/moderations)"""

from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.media_parts import Piece, part_of
from gateway.dialects.media_words import shows
from gateway.dialects.openai_exchange import OpenAIExchange
from inference.codecs.body import check_text, decoded, other_fields
from inference.ir.cards import Kind
from inference.ir.errors import InvalidField
from inference.ir.moderation import Judgement, ModerationRequest, ModerationResult

DEFAULT_MODEL = "omni-moderation-latest"
"""What OpenAI takes where a client names no model."""


class ModerationBody(Struct, frozen=True, kw_only=True):
    """A text, several, or text and pictures that are to be judged."""

    input: Raw
    model: str | None = None
    aspendos: Hints | UnsetType | None = UNSET


class _Whole(Struct):
    input: str | list[str | Piece]
    model: str | None = None


_KNOWN = frozenset({*_Whole.__struct_fields__, "aspendos"})
_body = msgspec.json.Decoder(ModerationBody)
_whole = msgspec.json.Decoder(_Whole)
_encode = msgspec.json.Encoder().encode


class Moderations(OpenAIExchange):
    """POST /v1/moderations"""

    route = "moderations"
    kind = Kind.MODERATION

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_body, body)
        text = bytes(asked.input)
        if text[:1] not in (b'"', b"["):
            raise InvalidField(
                "Invalid value for `input`: expected a string, an array of strings, or of text and pictures.",
                param="input",
            )
        return Request(
            model=asked.model or DEFAULT_MODEL,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=text,
            tags=tags_of(asked.aspendos),
            shows=shows(body),
        )

    def parse(self, body: bytes) -> ModerationRequest:
        """Raises InvalidField with the field's path."""
        asked = decoded(_whole, body)
        return ModerationRequest(
            model=asked.model or DEFAULT_MODEL,
            inputs=_inputs(asked.input),
            rest=other_fields(body, _KNOWN),
        )

    def answer(self, result: ModerationResult, asked: ModerationRequest, setting: Setting) -> Rendered:
        """OpenAI's results, with the categories the provider has."""
        return Rendered(
            _encode(
                {
                    "id": result.id or setting.id,
                    "model": result.model or setting.model,
                    "results": [_judgement(each) for each in result.results],
                }
            )
        )


def _inputs(given: str | list[str | Piece]) -> tuple[Any, ...]:
    """Texts are judged one by one; pieces of text and pictures together, as one input."""
    if isinstance(given, str):
        return (given,)
    if not given:
        raise InvalidField("Invalid value for `input`: expected at least one input.", param="input")
    texts = [isinstance(item, str) for item in given]
    if all(texts):
        return tuple(given)
    if any(texts):
        at = texts.index(True)
        raise InvalidField(
            f"Invalid value for `input[{at}]`: a string among objects; write it as "
            '{"type": "text", "text": ...}.',
            param=f"input[{at}]",
        )
    return (tuple(part_of(cast(Piece, item), f"input[{at}]") for at, item in enumerate(given)),)


def _judgement(judged: Judgement) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "flagged": judged.flagged,
        "categories": judged.categories,
        "category_scores": judged.scores,
    }
    if judged.applied is not None:
        entry["category_applied_input_types"] = judged.applied
    return entry
