"""What Cohere counts: billed units where it says them, else tokens. Pure.

`tokens` are all that the model saw and wrote, Cohere's own hidden preamble among them; `billed_units` are those a
customer pays for. The books are kept by what is paid. `cached_tokens` are a part of `tokens` and can exceed the billed
ones, so they cannot be told apart within those and are left out: where Cohere gives a rebate it gives it in the billed
units. (https://docs.cohere.com/docs/how-does-cohere-pricing-work)
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
        image_input_tokens=pictures,
        searches=searches,
        source=UsageSource.REPORTED,
    )
