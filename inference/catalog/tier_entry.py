"""What may be written under `tiers`: what a plan includes, and how much of it."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inference.catalog.figures import Amount
from inference.catalog.words import Count, Currency, Flag, Glob, Words
from inference.ir.tiers import NO_LIMITS, NO_RATES, Disconnect, Feature, Limits, Rates


class TermsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a part of a tier."""

    requests: Rates = NO_RATES
    tokens: Rates = NO_RATES
    parallel: Annotated[Count | UnsetType, Meta(description="Requests at a time.")] = UNSET
    per_user: Annotated[Limits, Meta(description="The same for each user of the holder.")] = NO_LIMITS


class WhenEmptyEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other ways out than a refusal; with both, the answer is shortened as long as that suffices."""

    shorten: Annotated[
        Count | UnsetType,
        Meta(
            description="Cut the longest possible answer to what the credit buys, but not below this many tokens."
        ),
    ] = UNSET
    model: Annotated[
        str | UnsetType,
        Meta(
            description="A cheaper or free model that answers instead.", extra={"expected": "a model's name"}
        ),
    ] = UNSET


class TierEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan includes, and how much of it. What is left out is included and not limited."""

    description: Words | UnsetType = UNSET
    models: Annotated[
        tuple[Glob, ...],
        Meta(
            description="Names, aliases or provider/name, with * and ?. Left out: every model.",
            extra={"expected": "a list of model names or globs such as `local/*`"},
        ),
    ] = ()
    requests: Annotated[Rates, Meta(description="Of the holder: the user, team or organisation.")] = NO_RATES
    tokens: Annotated[Rates, Meta(description="Of the holder, prompt and answer together.")] = NO_RATES
    parallel: Annotated[Count | UnsetType, Meta(description="Requests of the holder at a time.")] = UNSET
    per_user: Annotated[Limits, Meta(description="Limits of each user of the holder.")] = NO_LIMITS
    features: Annotated[
        dict[Feature, Annotated[bool | TermsEntry, Meta(extra={"expected": "`false`, `true` or limits"})]],
        Meta(
            description="`false`: not included. A feature that is not named is included.",
            extra_json_schema={"propertyNames": {"enum": list(Feature)}},
        ),
    ] = {}
    model_limits: Annotated[
        dict[Glob, TermsEntry],
        Meta(description="Limits of some models: all that one glob matches, together."),
    ] = {}
    credits_per_month: Annotated[
        int,
        Meta(ge=0, le=1_000_000_000, description="Granted to the holder each month. 100 are 1 US dollar."),
    ] = 0
    price: Annotated[
        dict[Currency, Amount], Meta(description="What a month costs, by currency: {USD: 9.99, TRY: 349}.")
    ] = {}
    priority: Annotated[int, Meta(ge=1, le=100, description="A lower number is served first.")] = 100
    flags: Annotated[tuple[Flag, ...], Meta(description="Words that extensions and clients look for.")] = ()
    when_empty: Annotated[
        Literal["refuse", "shorten"] | WhenEmptyEntry,
        Meta(
            description="When the credit left does not cover a request. Free models are never refused.",
            extra={"expected": "`refuse`, `shorten`, {shorten: 256} or {model: name}"},
        ),
    ] = "refuse"
    byok: Annotated[bool, Meta(description="Whether keys of one's own for providers may be brought.")] = True
    disconnect: Annotated[
        Disconnect | UnsetType, Meta(description="When the client hangs up, unless the model says otherwise.")
    ] = UNSET
