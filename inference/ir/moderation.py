"""Moderation: text and pictures to be judged, and the judgement by categories. Pure.

The categories are the provider's own: nobody agrees on them, and to rename them would be to judge anew.
"""

from msgspec import Struct

from inference.ir.content import NO_REST, Image, Rest, Text
from inference.ir.usage import NO_USAGE, Usage


class ModerationRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`inputs` are judged one by one; text and pictures in one tuple are judged together."""

    model: str
    inputs: tuple[str | tuple[Text | Image, ...], ...]
    rest: Rest = NO_REST


class Judgement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one input. `scores` are from 0 to 1; `applied` says for each category which kinds of input were judged."""

    flagged: bool
    categories: dict[str, bool]
    scores: dict[str, float]
    applied: dict[str, tuple[str, ...]] | None = None


class ModerationResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A judgement for each input, in the order of the inputs."""

    results: tuple[Judgement, ...]
    model: str | None = None
    id: str | None = None
    usage: Usage = NO_USAGE
