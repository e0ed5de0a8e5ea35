"""Token counts as Gemini reports them, both ways, each token counted once. Pure.

`promptTokenCount` includes what was read from a cache, `candidatesTokenCount` leaves thoughts out, and what tools of
Google's own brought in is counted beside both. (https://ai.google.dev/api/generate-content#UsageMetadata)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.token_counts import believed
from inference.ir.usage import NO_USAGE, Usage, UsageSource

_AUDIO = ("AUDIO", 4)
_IMAGE = ("IMAGE", 2)


class Modality(Struct, rename="camel"):
    modality: str | int | None = None
    token_count: int = 0


class UsageMetadata(Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[Modality] | None = None
    candidates_tokens_details: list[Modality] | None = None
    service_tier: str | None = None


class Metered(Struct, rename="camel"):
    """An event or an answer, read for its counts alone."""

    usage_metadata: UsageMetadata | None = None


_metered = msgspec.json.Decoder(Metered)
_NOTHING = UsageMetadata()


def read_usage(said: UsageMetadata | None, source: UsageSource = UsageSource.REPORTED) -> Usage:
    """The counts; NO_USAGE where there are none or they make no sense."""
    if said is None:
        return NO_USAGE
    given, made = said.prompt_token_count, said.candidates_token_count
    thought, tools = said.thoughts_token_count or 0, said.tool_use_prompt_token_count or 0
    if given is None and made is None and not thought:
        return NO_USAGE
    prompt = (given or 0) + tools
    answer = (made or 0) + thought
    read = min(said.cached_content_token_count or 0, prompt)
    heard = seen = spoken = drawn = 0
    if said.prompt_tokens_details:
        heard, seen = _modalities(said.prompt_tokens_details)
    if said.candidates_tokens_details:
        spoken, drawn = _modalities(said.candidates_tokens_details)
    if not believed(prompt, answer, read, thought, tools, heard, seen, spoken, drawn):
        return NO_USAGE
    return Usage(
        input_tokens=prompt,
        output_tokens=answer,
        cache_read_tokens=read,
        reasoning_tokens=thought,
        audio_input_tokens=heard,
        image_input_tokens=seen,
        audio_output_tokens=spoken,
        image_output_tokens=drawn,
        source=source,
    )


def usage_in(payload: bytes) -> UsageMetadata | None:
    """The `usageMetadata` of an answer or event; None where it has none that can be read."""
    try:
        return _metered.decode(payload).usage_metadata
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError):
        return None
    try:
        return mended(payload, Metered).usage_metadata
    except msgspec.DecodeError:
        return None


def write_usage(usage: Usage) -> Raw:
    """`usageMetadata` for Gemini's clients; a call nobody counted says nothing but zeros."""
    made = max(usage.output_tokens - usage.reasoning_tokens, 0)
    said: dict[str, object] = {"promptTokenCount": usage.input_tokens, "candidatesTokenCount": made}
    if usage.cache_read_tokens:
        said["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.reasoning_tokens:
        said["thoughtsTokenCount"] = usage.reasoning_tokens
    said["totalTokenCount"] = usage.input_tokens + max(usage.output_tokens, usage.reasoning_tokens)
    for name, total, heard, seen in (
        ("promptTokensDetails", usage.input_tokens, usage.audio_input_tokens, usage.image_input_tokens),
        ("candidatesTokensDetails", made, usage.audio_output_tokens, usage.image_output_tokens),
    ):
        if heard or seen:
            parts = {"TEXT": max(total - heard - seen, 0), "AUDIO": heard, "IMAGE": seen}
            said[name] = [{"modality": kind, "tokenCount": count} for kind, count in parts.items() if count]
    return Raw(msgspec.json.encode(said))


def _modalities(details: list[Modality]) -> tuple[int, int]:
    """Tokens of audio, and of pictures."""
    heard = seen = 0
    for each in details:
        if each.modality in _AUDIO:
            heard += each.token_count
        elif each.modality in _IMAGE:
            seen += each.token_count
    return heard, seen
