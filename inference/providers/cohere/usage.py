"""What Cohere counts: billed units where it says them, else tokens. Pure.

`tokens` are all that the model saw and wrote, Cohere's own hidden preamble among them; `billed_units` are those a
customer pays for. The books are kept by what is paid. `cached_tokens` are a part of `tokens` and can exceed the billed
ones: of 212 that were seen 12 are billed and 208 were cached. No more than the 200 that are not billed can be among
the cached without being paid for, so the other 8 are billed tokens that were cached, and these are what is counted as
read from a cache. (https://docs.cohere.com/docs/how-does-cohere-pricing-work)
"""

from msgspec import Struct

from inference.codecs.token_counts import believed
from inference.ir.usage import NO_USAGE, Usage, UsageSource


class Units(Struct):
    """Counts as Cohere writes them: JSON numbers that may have a fraction."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    image_tokens: float | None = None
    images: float | None = None
    search_units: float | None = None


class Reported(Struct):
    """`usage` of a chat, `meta` of all else."""

    billed_units: Units | None = None
    tokens: Units | None = None
    cached_tokens: float | None = None


def usage_of(said: Reported | None) -> Usage:
    """NO_USAGE where nothing is said, or nothing that makes sense."""
    if said is None:
        return NO_USAGE
    units = said.billed_units or said.tokens
    if units is None:
        return NO_USAGE
    counts = [
        round(value or 0)
        for value in (units.input_tokens, units.output_tokens, units.image_tokens, units.search_units)
    ]
    if not believed(*counts):
        return NO_USAGE
    given, made, pictures, searches = counts
    return Usage(
        input_tokens=given + pictures,
        output_tokens=made,
        cache_read_tokens=_cached(said, given + pictures),
        image_input_tokens=pictures,
        searches=searches,
        source=UsageSource.REPORTED,
    )


def _cached(said: Reported, given: int) -> int:
    """How many of the `given` input tokens were surely read from a cache; none where the count makes no sense."""
    cached = round(said.cached_tokens or 0)
    seen = round((said.tokens.input_tokens if said.tokens is not None else None) or given)
    if not believed(cached, seen) or cached > seen:
        return 0
    return min(max(cached - max(seen - given, 0), 0), given)
