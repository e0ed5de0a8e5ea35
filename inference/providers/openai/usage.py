"""Token counts as OpenAI and its kin report them, each token counted once. Pure.

DeepSeek says `prompt_cache_hit_tokens`; xAI leaves reasoning out of `completion_tokens`, which shows in its
`total_tokens`. (https://platform.openai.com/docs/api-reference/chat/object)
"""

import msgspec
from msgspec import Raw, Struct

from inference.ir.usage import NO_USAGE, Usage, UsageSource

MOST_TOKENS = 100_000_000
"""No call has more. A report beyond it, or below zero, is not believed: the call is counted instead."""


class Details(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class Reported(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None


_reported = msgspec.json.Decoder(Reported)
_anything = msgspec.json.Decoder()


def read_usage(reported: Raw, source: UsageSource = UsageSource.REPORTED) -> Usage:
    """The counts of a raw `usage` field; NO_USAGE where it is null or makes no sense."""
    if is_null(reported):
        return NO_USAGE
    try:
        said = _reported.decode(reported)
    except (msgspec.DecodeError, RecursionError):
        said = _loose_usage(reported)
        if said is None:
            return NO_USAGE
    return usage_of(said, source)


def usage_of(said: Reported, source: UsageSource = UsageSource.REPORTED) -> Usage:
    given = said.prompt_tokens or 0
    made = said.completion_tokens or 0
    read = said.prompt_cache_hit_tokens or said.cached_tokens or 0
    write = thought = 0
    before, after = said.prompt_tokens_details, said.completion_tokens_details
    if before is not None:
        read = before.cached_tokens or read
        write = before.cache_write_tokens or 0
    if after is not None:
        thought = after.reasoning_tokens or 0
        if thought and said.total_tokens == given + made + thought:
            made += thought
    counts = (given, made, read, write, thought)
    if min(counts) < 0 or max(counts) > MOST_TOKENS:
        return NO_USAGE
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=thought,
        source=source,
    )


def _loose_usage(reported: Raw) -> Reported | None:
    """Counts sent as floats or beside fields of unexpected types."""
    try:
        return msgspec.convert(_anything.decode(reported), Reported, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None


def is_null(value: Raw | None) -> bool:
    """Whether a raw field is absent or says null."""
    return value is None or bytes(value) == b"null"
