"""Token counts as OpenAI and its kin report them, each token counted once. Pure.

DeepSeek says `prompt_cache_hit_tokens`, Mistral `num_cached_tokens`; xAI leaves reasoning out of `completion_tokens`,
which shows in its `total_tokens`. (https://platform.openai.com/docs/api-reference/chat/object)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.token_counts import MOST_TOKENS, believed
from inference.ir.usage import NO_USAGE, Usage, UsageSource


class Details(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class ServerTools(Struct):
    web_search_requests: int | None = None


class Reported(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    num_cached_tokens: int | None = None
    server_tool_use_details: ServerTools | None = None


_NULL = Raw(b"null")
_NO_DETAILS = Details()
_reported = msgspec.json.Decoder(Reported)


def read_usage(reported: Raw, source: UsageSource = UsageSource.REPORTED) -> Usage:
    """The counts of a raw `usage` field; NO_USAGE where it is null or makes no sense."""
    if is_null(reported):
        return NO_USAGE
    try:
        said = _reported.decode(reported)
    except (msgspec.DecodeError, RecursionError):
        try:
            said = mended(reported, Reported)
        except msgspec.DecodeError:
            return NO_USAGE
    return usage_of(said, source)


def usage_of(said: Reported, source: UsageSource = UsageSource.REPORTED) -> Usage:
    given = said.prompt_tokens or 0
    made = said.completion_tokens or 0
    read = said.prompt_cache_hit_tokens or said.cached_tokens or said.num_cached_tokens or 0
    before, after = said.prompt_tokens_details or _NO_DETAILS, said.completion_tokens_details or _NO_DETAILS
    read = before.cached_tokens or read
    write = before.cache_write_tokens or 0
    thought = after.reasoning_tokens or 0
    if thought and said.total_tokens == given + made + thought:
        made += thought
    heard, spoken = before.audio_tokens or 0, after.audio_tokens or 0
    seen, drawn = before.image_tokens or 0, after.image_tokens or 0
    tools = said.server_tool_use_details
    searched = 0 if tools is None else tools.web_search_requests or 0
    # Their bits together are below zero where one of them is, and no less than any: mostly that is all to be asked.
    together = given | made | read | write | thought | heard | spoken | seen | drawn | searched
    if not 0 <= together <= MOST_TOKENS and not believed(
        given, made, read, write, thought, heard, spoken, seen, drawn, searched
    ):
        return NO_USAGE
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=thought,
        audio_input_tokens=heard,
        audio_output_tokens=spoken,
        image_input_tokens=seen,
        image_output_tokens=drawn,
        searches=searched,
        source=source,
    )


def is_null(value: Raw | None) -> bool:
    """Whether a raw field is absent or says null."""
    return value is None or value == _NULL
