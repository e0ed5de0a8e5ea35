"""Token counts as Anthropic reports them, each token counted once. Pure.

Anthropic's `input_tokens` are those neither read from nor written to its cache; ours include them. The tokens of a
compaction stand only among `iterations` (https://docs.anthropic.com/en/docs/build-with-claude/compaction) and are
added; those of an advisor are another model's and are not. `searches` counts web searches: fetches cost nothing.
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.token_counts import believed
from inference.ir.usage import NO_USAGE, Usage, UsageSource


class Creation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct):
    thinking_tokens: int | None = None


class ServerTools(Struct):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class Iteration(Struct):
    type: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class Reported(Struct):
    """`usage` of a message, of message_start and of message_delta; None: not said."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: Creation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None
    service_tier: str | None = None
    iterations: list[Iteration] | None = None


_reported = msgspec.json.Decoder(Reported)


def read_reported(raw: Raw | bytes) -> Reported | None:
    """The counts of a raw `usage`, None where it makes no sense."""
    try:
        return _reported.decode(raw)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError):
        return None
    try:
        return mended(raw, Reported)
    except msgspec.DecodeError:
        return None


def later(before: Reported | None, after: Reported) -> Reported:
    """Counts of a stream are cumulative: a later report replaces an earlier one, field by field."""
    if before is None:
        return after
    said = {name: value for name in after.__struct_fields__ if (value := getattr(after, name)) is not None}
    return msgspec.structs.replace(before, **said)


def usage_of(said: Reported | None, source: UsageSource = UsageSource.REPORTED) -> Usage:
    """NO_USAGE where nothing was said, or nothing that can be."""
    if said is None or (said.input_tokens is None and said.output_tokens is None):
        return NO_USAGE
    fresh, made = said.input_tokens or 0, said.output_tokens or 0
    read, written = said.cache_read_input_tokens or 0, said.cache_creation_input_tokens or 0
    for each in said.iterations or ():
        if each.type == "compaction":
            fresh += each.input_tokens or 0
            made += each.output_tokens or 0
            read += each.cache_read_input_tokens or 0
            written += each.cache_creation_input_tokens or 0
    hour = (said.cache_creation.ephemeral_1h_input_tokens or 0) if said.cache_creation is not None else 0
    thought = (said.output_tokens_details.thinking_tokens or 0) if said.output_tokens_details else 0
    searches = (said.server_tool_use.web_search_requests or 0) if said.server_tool_use is not None else 0
    if not believed(fresh, made, read, written, hour, thought, searches):
        return NO_USAGE
    return Usage(
        input_tokens=fresh + read + written,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=thought,
        searches=searches,
        source=source,
    )


def written_usage(usage: Usage, service_tier: str | None = None) -> dict[str, object]:
    """The same counts as Anthropic writes them."""
    read, written, hour = usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    said: dict[str, object] = {
        "input_tokens": max(usage.input_tokens - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output_tokens,
    }
    if written:
        said["cache_creation"] = {
            "ephemeral_5m_input_tokens": max(written - hour, 0),
            "ephemeral_1h_input_tokens": hour,
        }
    if usage.reasoning_tokens:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.searches:
        said["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    if service_tier is not None:
        said["service_tier"] = service_tier
    return said
