"""What Bedrock counts. `inputTokens` leaves out what was read from a cache or written to one: those are added. Pure.

(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html)
"""

from msgspec import Struct

from inference.ir.usage import NO_USAGE, Usage, UsageSource

_MOST = 100_000_000
"""No call has more; a report beyond it, or below zero, is not believed."""


class _Written(Struct, rename="camel", gc=False):
    input_tokens: int = 0
    ttl: str = ""


class Reported(Struct, rename="camel", gc=False):
    """`usage` of an answer; `cache_details` tells how long what was written is kept."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_Written] | None = None


def usage_of(said: Reported | None) -> Usage:
    """NO_USAGE where nothing is said, or nothing that makes sense."""
    if said is None:
        return NO_USAGE
    read, written = said.cache_read_input_tokens or 0, said.cache_write_input_tokens or 0
    hour = sum(each.input_tokens for each in said.cache_details or () if each.ttl == "1h")
    counts = (said.input_tokens, said.output_tokens, read, written, hour)
    if min(counts) < 0 or max(counts) > _MOST or hour > written:
        return NO_USAGE
    return Usage(
        input_tokens=said.input_tokens + read + written,
        output_tokens=said.output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        source=UsageSource.REPORTED,
    )
