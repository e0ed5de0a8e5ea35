"""What may be written under `models`: what clients ask for by name, where it can be had and what it costs."""

from datetime import date
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inference.catalog.figures import Part, Usd, UsdEach, UsdPerMillionCharacters
from inference.catalog.words import (
    Capability,
    Count,
    FieldName,
    LaterCount,
    LaterNames,
    ModelName,
    UpstreamName,
    Words,
)
from inference.ir.cards import CacheScope, Kind, PromptCache
from inference.ir.tiers import Disconnect


class PriceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens, and for what is not sold by the token. A part that is left out costs as much
    as the whole: what is read from a cache, heard or seen as `input`, what is thought, spoken or drawn as `output`.
    """

    input: Annotated[
        Usd | UnsetType,
        Meta(description="Left out: the dearest kind of input that is given, or 0 where there is none."),
    ] = UNSET
    output: Annotated[
        Usd | UnsetType,
        Meta(description="Left out: the dearest kind of output that is given, or 0 where there is none."),
    ] = UNSET
    cache_read: Annotated[
        Usd | UnsetType, Meta(description="Prompt tokens served from the provider's cache.")
    ] = UNSET
    cache_write: Annotated[
        Usd | UnsetType, Meta(description="Prompt tokens stored in the provider's cache.")
    ] = UNSET
    cache_write_1h: Annotated[
        Usd | UnsetType, Meta(description="Those stored for an hour. Left out: as cache_write.")
    ] = UNSET
    reasoning: Annotated[Usd | UnsetType, Meta(description="Where thinking is not priced as output.")] = UNSET
    audio_input: Annotated[Usd | UnsetType, Meta(description="Tokens of audio heard.")] = UNSET
    audio_output: Annotated[Usd | UnsetType, Meta(description="Tokens of audio made.")] = UNSET
    image_input: Annotated[Usd | UnsetType, Meta(description="Tokens of pictures seen.")] = UNSET
    image_output: Annotated[Usd | UnsetType, Meta(description="Tokens of pictures made.")] = UNSET
    per_image: Annotated[UsdEach | UnsetType, Meta(description="US dollars for one picture made.")] = UNSET
    per_second: Annotated[
        UsdEach | UnsetType, Meta(description="US dollars for a second of audio, heard or made.")
    ] = UNSET
    per_hour: Annotated[
        UsdEach | UnsetType,
        Meta(description="The same for an hour, where the second's price has more than 9 decimals."),
    ] = UNSET
    per_million_characters: Annotated[
        UsdPerMillionCharacters | UnsetType,
        Meta(description="US dollars per million characters spoken or translated."),
    ] = UNSET
    per_search: Annotated[
        UsdEach | UnsetType,
        Meta(
            description="US dollars for one search: a query ranked against documents, the web searched once."
        ),
    ] = UNSET


class TargetEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place a model can be had."""

    provider: Annotated[
        str, Meta(description="A name from `providers`.", extra={"expected": "a provider's name"})
    ]
    model: Annotated[UpstreamName, Meta(description="The model's name at that provider.")]
    weight: Annotated[int, Meta(ge=0, le=1_000_000, description="Share of the traffic; 0 is off.")] = 1
    cost: Annotated[
        PriceEntry | UnsetType,
        Meta(description="What the provider charges you, if it is not the model's price: what you earn."),
    ] = UNSET
    family: Annotated[
        Literal["anthropic"] | UnsetType,
        Meta(
            description="For wires `bedrock` and `vertex`, where the name there does not tell whose the model is, such "
            "as an application's inference profile: `anthropic` for Claude, whose clients are then passed on."
        ),
    ] = UNSET
    max_parallel: LaterCount = UNSET
    rpm: LaterCount = UNSET
    tpm: LaterCount = UNSET


class ModelEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients ask for by name."""

    kind: Annotated[Kind, Meta(description="Decides which routes may ask for it.")]
    targets: Annotated[
        tuple[TargetEntry, ...],
        Meta(min_length=1, extra={"expected": "at least one {provider, model}"}),
    ]
    description: Words | UnsetType = UNSET
    context_window: Annotated[Count | UnsetType, Meta(description="Tokens, prompt and answer together.")] = (
        UNSET
    )
    max_output: Annotated[Count | UnsetType, Meta(description="Tokens in one answer.")] = UNSET
    capabilities: Annotated[
        tuple[Capability, ...] | UnsetType,
        Meta(
            description="What the model can do. Where it is given, requests that need more (tools, pictures, audio, "
            "video, PDFs, reasoning, an answer by a JSON schema, log probabilities, spoken answers) are refused; left "
            "out, its provider decides. `prompt_cache` refuses nothing: it says that marks for caching are understood."
        ),
    ] = UNSET
    drop: Annotated[
        tuple[FieldName, ...],
        Meta(
            description="Fields of requests that are taken out before a target sees them, and named in "
            "`x-aspendos-dropped`: [logit_bias, seed]. OpenAI's names stand for what other dialects call the same."
        ),
    ] = ()
    price: PriceEntry | UnsetType = UNSET
    free: Annotated[bool, Meta(description="Said aloud: this model costs nothing.")] = False
    batch_price: Annotated[
        Part | UnsetType,
        Meta(
            description="The part of the price that calls of batches cost: 0.5 is half. Left out: all of it."
        ),
    ] = UNSET
    priced_at: Annotated[date | UnsetType, Meta(description="The day the price was taken; for people.")] = (
        UNSET
    )
    aliases: Annotated[tuple[ModelName, ...], Meta(description="Further names clients may use.")] = ()
    disconnect: Annotated[
        Disconnect | UnsetType,
        Meta(
            description="When the client hangs up: `abort` cancels the request, `drain` reads it to its end. "
            "Left out: as the tier says, else abort."
        ),
    ] = UNSET
    prompt_cache: Annotated[
        PromptCache,
        Meta(
            description="`auto` marks up to where Anthropic caches a prompt (tools, system prompt, the last two turns "
            "of the user) when the client marked nothing itself."
        ),
    ] = PromptCache.CLIENT
    cache_scope: Annotated[
        CacheScope | UnsetType,
        Meta(
            description="Whose prompts may meet in a server's cache: `tenant` keeps organisations apart, and the "
            "teams of the default one, by vLLM's `cache_salt` and OpenAI's `prompt_cache_key`; `shared` does not. "
            "Left out: `tenant` for wire `vllm` and at OpenAI's own address, else `shared`."
        ),
    ] = UNSET
    fallbacks: LaterNames = UNSET
    max_parallel: LaterCount = UNSET
    rpm: LaterCount = UNSET
    tpm: LaterCount = UNSET
    regions: LaterNames = UNSET
