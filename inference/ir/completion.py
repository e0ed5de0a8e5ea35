"""Completion: a whole answer of a model that talks, whoever's dialect it came in. Pure."""

from enum import StrEnum

from msgspec import Raw, Struct

from inference.ir.content import NO_REST, Family, Part, Rest
from inference.ir.errors import UpstreamFailed
from inference.ir.usage import NO_USAGE, Usage


class Finish(StrEnum):
    """Why a model stopped. ERROR is no end: whoever reads it raises `unfinished`, so that nobody takes it for one."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    CONTEXT = "context_overflow"
    ERROR = "error"
    OTHER = "other"


class Choice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer of possibly several. `native` is the provider's own word for `finish`.

    `explanation` is its sentence on why there is none, or no more, where it gave one beside the answer.
    """

    parts: tuple[Part, ...] = ()
    finish: Finish | None = None
    native: str | None = None
    stop_sequence: str | None = None
    explanation: str | None = None
    index: int = 0
    logprobs: Raw | None = None
    rest: Rest = NO_REST


class Completion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`created` is in unix seconds; `family` is whose words `rest` and the parts' opaque pieces are."""

    family: Family
    id: str | None = None
    model: str | None = None
    created: int | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage = NO_USAGE
    service_tier: str | None = None
    rest: Rest = NO_REST


def unfinished(native: str | None) -> UpstreamFailed:
    """The error that an answer is which its provider calls failed, whatever was said of it before."""
    return UpstreamFailed(f"The upstream could not finish its answer ({(native or 'error')[:64]}).")
