"""Usage: the one record every request ends in. Holds facts and cost; refuses bodies, prompts and secrets."""

from typing import Annotated

from msgspec import Meta, Struct

from inference.ir.usage import UsageSource

MAX_INTEGER = 2**63 - 1
"""What a database's BIGINT holds; in nano-USD, nine billion dollars."""

Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
"""Checked when a record is read back from the journal, not when it is made: the hot path pays nothing."""


SmallCount = Annotated[int, Meta(ge=0, le=2**40)]
"""So small that eight million of them can be summed in a BIGINT: a millisecond each, and it is 35 years of audio."""


class UsageRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request, finished or failed. None where a request ended before the fact was known.

    `id` is the request id, unique for ever and chosen by the gateway, never by the client: a second
    record with the same id is taken for a replay of the first. `at` is unix nanoseconds at arrival;
    `*_us` are microseconds; `ttft_us` is the time to the first byte of a stream; `overhead_us` is the
    part of `duration_us` spent in the gateway. `target` is the model's name at the provider, `error` a
    stable code. `cost_nano` is nano-USD at the price called `price_version`. The counts are those of
    `inference.ir.usage.Usage`.

    What is as it mostly is, is left out where a record is written, and read back as such.
    """

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    at: Count
    key_id: str | None = None
    team_id: str | None = None
    route: str
    model: str | None = None
    provider: str | None = None
    target: str | None = None
    stream: bool = False
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    reasoning_tokens: Count = 0
    usage_source: UsageSource = UsageSource.NONE
    cost_nano: Count = 0
    price_version: str | None = None
    ttft_us: Count | None = None
    duration_us: Count
    overhead_us: Count
    status: Count
    error: str | None = None
    attempts: Count = 0
    finish_reason: str | None = None
    org_id: str | None = None
    user_id: str | None = None
    tier: str | None = None
    feature: str | None = None
    tags: dict[str, str] = {}
    account: str | None = None
    held_nano: Count = 0
    provider_cost_nano: Count = 0
    byok: bool = False
    cache_write_1h_tokens: SmallCount = 0
    audio_input_tokens: SmallCount = 0
    audio_output_tokens: SmallCount = 0
    image_input_tokens: SmallCount = 0
    image_output_tokens: SmallCount = 0
    characters: SmallCount = 0
    audio_ms: SmallCount = 0
    images: SmallCount = 0
    searches: SmallCount = 0


class HoldRecord(Struct, frozen=True, kw_only=True):
    """Credit held for a request that is under way: `held_nano` in all, as of `at` (unix ns).

    Written before the first byte goes to a provider and again when the hold grows; the request's usage record
    ends it. A hold whose process died without one cost its account nothing and is released. `hold` is the
    request id; it is the first field, by which a line is known as a hold.
    """

    hold: Annotated[str, Meta(min_length=1, max_length=128)]
    account: Annotated[str, Meta(min_length=1)]
    held_nano: Count
    at: Count
