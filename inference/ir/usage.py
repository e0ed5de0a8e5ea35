"""Usage: how much one call took, whoever counted it."""

from enum import StrEnum

from msgspec import Struct, structs


class UsageSource(StrEnum):
    """Who counted. Only `counted` is an estimate; its error bound is stated where it is made."""

    REPORTED = "reported"
    CONTINUOUS = "continuous"
    COUNTED = "counted"
    NONE = "none"


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts of one call, and counts of what is not sold by the token.

    `input_tokens` includes the cached ones and `output_tokens` the reasoning ones, as OpenAI reports them; the parts
    are never added to the whole again. `cache_write_1h_tokens` are part of `cache_write_tokens`, `audio_*` and
    `image_*` tokens part of input and output. `characters` are of text spoken or translated, `audio_ms`
    milliseconds of audio heard or made, `images` pictures made, `searches` what a provider counts as one: a query
    ranked against its documents, the web searched once.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0
    images: int = 0
    searches: int = 0
    source: UsageSource = UsageSource.NONE


NO_USAGE = Usage()


def shortened(usage: Usage, part: int, whole: int) -> Usage:
    """A usage of whose output only `part` in `whole` reached the client, rounded down: an estimate from then on.

    What is not counted in tokens is the provider's work once it has begun, and stays.
    """
    if part >= whole:
        return usage
    made = {name: getattr(usage, name) * part // whole for name in _OUTPUT}
    source = UsageSource.NONE if usage.source is UsageSource.NONE else UsageSource.COUNTED
    return structs.replace(usage, **made, source=source)


def filled(usage: Usage, counted: Usage) -> Usage:
    """What a target reported, with what it does not sell by the token as the gateway `counted` it, where the target
    said nothing of that."""
    if counted is NO_USAGE:
        return usage
    if usage.source is UsageSource.NONE:
        return counted
    missing = {name: getattr(counted, name) for name in _UNITS if not getattr(usage, name)}
    return structs.replace(usage, **missing)


_OUTPUT = ("output_tokens", "reasoning_tokens", "audio_output_tokens", "image_output_tokens")
_UNITS = ("characters", "audio_ms", "images")


def uncommon(usage: Usage) -> dict[str, int] | None:
    """The counts that few calls have, those that are not 0, by name; None for a call of plain tokens."""
    if not (
        usage.cache_write_1h_tokens
        or usage.audio_input_tokens
        or usage.audio_output_tokens
        or usage.image_input_tokens
        or usage.image_output_tokens
        or usage.characters
        or usage.audio_ms
        or usage.images
        or usage.searches
    ):
        return None
    counts = {name: getattr(usage, name) for name in UNCOMMON}
    return {name: count for name, count in counts.items() if count}


UNCOMMON = (
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "characters",
    "audio_ms",
    "images",
    "searches",
)
"""Counts of Usage that a conversation in text has none of."""
