"""The shape of config/models.yaml as Structs: what may be written where, not yet what it means.

The reader checks files against these types and the editor's JSON schema is generated from them, so a field is
added here and nowhere else.
"""

import pkgutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inference.catalog_figures import Amount, Part, Seconds, Usd, UsdEach, UsdPerMillionCharacters
from inference.ir.cards import CacheScope, Kind, PromptCache
from inference.ir.tiers import NO_LIMITS, NO_RATES, Disconnect, Feature, Limits, Rates

_AWAITED = (
    "bedrock",
    "huggingface",
    "elevenlabs",
    "deepgram",
    "fal",
    "stability",
    "google-speech",
    "azure-speech",
)
"""Wire formats whose rows may stand in a catalogue before there is a file for them; they wait for it."""


def _wires() -> tuple[str, ...]:
    """Every wire format the catalogue knows by name: the files of `providers`, and those that are awaited."""
    files = pkgutil.iter_modules([str(Path(__file__).parent / "providers")])
    return tuple(sorted({*_AWAITED, *(file.name.replace("_", "-") for file in files)}))


if TYPE_CHECKING:
    Wire = str
else:
    Wire = Literal[_wires()]


Capability = Literal[
    "tools",
    "json_schema",
    "vision",
    "reasoning",
    "prompt_cache",
    "adaptive_thinking",
    "logprobs",
    "audio_input",
    "audio_output",
    "video_input",
    "pdf_input",
]


ProviderName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        extra={"expected": "a provider's name: letters, digits, `.`, `_` and `-`"},
    ),
]
ModelName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$",
        extra={"expected": "a model's name: letters, digits and `. _ : / @ + -`"},
    ),
]
UpstreamName = Annotated[
    str,
    Meta(
        pattern=r"^[^\s\x00-\x1f\x7f]{1,256}$",
        extra={"expected": "the model's name at the provider, without spaces"},
    ),
]
HeaderName = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", extra={"expected": "an HTTP header's name"}),
]
EnvName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        description="Name of an environment variable; never the secret itself.",
        extra={"expected": "the name of an environment variable, such as `OPENAI_API_KEY`", "secret": True},
    ),
]
TierName = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9_-]{0,63}$",
        extra={"expected": "a tier's name: small letters, digits, `_` and `-`"},
    ),
]
Glob = Annotated[
    str,
    Meta(
        pattern="^[!-~]{1,200}$",
        extra={"expected": "a model's name or a glob such as `gpt-*`, without spaces"},
    ),
]
Currency = Annotated[
    str, Meta(pattern="^[A-Z]{3}$", extra={"expected": "a currency of ISO 4217, such as `USD`"})
]
Flag = Annotated[
    str,
    Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$", extra={"expected": "a word: small letters, digits, `_ . -`"}),
]
FieldName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        extra={"expected": "the name of a field of a request, such as `logit_bias`"},
    ),
]
Words = Annotated[str, Meta(max_length=2000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
_LATER = {"later": True}
_LATER_NOTE = "No effect in this version."
LaterCount = Annotated[Count | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
LaterMapping = Annotated[dict[str, Any] | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
LaterNames = Annotated[tuple[str, ...] | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
_REFUSED = {"refused": "`static`: only `static` is supported in this version"}


class EnvRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret, by the name of the environment variable that holds it."""

    env: EnvName


class EnvUrl(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address taken from the environment where it is set there."""

    env: EnvName
    default: str | UnsetType = UNSET


class Workers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the workers of a fleet are."""

    static: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="Addresses such as http://10.0.0.1:8000, without /v1.",
            extra={"expected": "a list of worker addresses, such as `http://10.0.0.1:8000`"},
        ),
    ] = ()
    dns: Annotated[Any, Meta(extra=_REFUSED, extra_json_schema={"not": {}})] = UNSET
    kubernetes: Annotated[Any, Meta(extra=_REFUSED, extra_json_schema={"not": {}})] = UNSET


class TimeoutsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on one attempt: seconds, or `500ms`, `30s`, `2m`."""

    connect: Annotated[Seconds | UnsetType, Meta(description="Until the connection stands.")] = UNSET
    first_byte: Annotated[
        Seconds | UnsetType, Meta(description="From the request's last byte to the response's first.")
    ] = UNSET
    idle: Annotated[Seconds | UnsetType, Meta(description="Between two pieces of a response.")] = UNSET
    total: Annotated[Seconds | UnsetType, Meta(description="The whole attempt.")] = UNSET


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an https provider proves who it is."""

    verify: Annotated[bool, Meta(description="`false` accepts any certificate: for tests only.")] = True
    ca: Annotated[
        str | UnsetType,
        Meta(
            description="PEM file of the authority to trust instead of the system's.",
            extra={"expected": "the path of a PEM file"},
        ),
    ] = UNSET


class AwsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What requests to AWS are signed with. The session token's variable may be empty."""

    access_key: Annotated[
        EnvRef, Meta(extra={"expected": "a mapping such as {env: AWS_ACCESS_KEY_ID}", "secret": True})
    ]
    secret_key: Annotated[
        EnvRef, Meta(extra={"expected": "a mapping such as {env: AWS_SECRET_ACCESS_KEY}", "secret": True})
    ]
    session_token: Annotated[
        EnvRef | UnsetType,
        Meta(extra={"expected": "a mapping such as {env: AWS_SESSION_TOKEN}", "secret": True}),
    ] = UNSET


class ProviderEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wire format x address x key."""

    wire: Annotated[
        Wire, Meta(description="The protocol spoken there. Any OpenAI-compatible server is `openai`.")
    ]
    base_url: Annotated[
        str | EnvUrl | UnsetType,
        Meta(
            description="Address with its path, such as https://api.openai.com/v1.",
            extra={
                "expected": "an address such as `https://api.openai.com/v1`, or {env: NAME, default: address}"
            },
        ),
    ] = UNSET
    workers: Annotated[Workers | UnsetType, Meta(description="For wire `vllm`, instead of base_url.")] = UNSET
    key: Annotated[
        EnvRef | UnsetType,
        Meta(
            description="The provider is off while this variable is not set.",
            extra={"expected": "a mapping such as {env: OPENAI_API_KEY}", "secret": True},
        ),
    ] = UNSET
    service_account: Annotated[
        EnvRef | UnsetType,
        Meta(
            description="For wire `vertex`, instead of a key: a variable that holds the JSON of a Google service "
            "account's key, or the path of such a file. The provider is off while it is not set.",
            extra={"expected": "a mapping such as {env: GOOGLE_APPLICATION_CREDENTIALS}", "secret": True},
        ),
    ] = UNSET
    project: Annotated[
        str,
        Meta(
            pattern="^([a-z][a-z0-9.:-]{2,80})?$",
            description="For wire `vertex`, with `location` and instead of base_url: the Google Cloud project.",
            extra={"expected": "the id of a Google Cloud project"},
        ),
    ] = ""
    location: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9-]{1,40}$",
            description="Where the project's models run, such as europe-west4.",
            extra={"expected": "a location of Google Cloud's, such as `europe-west4` or `global`"},
        ),
    ] = "global"
    aws: Annotated[
        AwsEntry | UnsetType,
        Meta(
            description="For wire `bedrock`, instead of a key: the variables that hold an access key of AWS, with "
            "which requests are signed. The provider is off while they are not set."
        ),
    ] = UNSET
    region: Annotated[
        str,
        Meta(
            pattern="^([a-z]{2,4}(-[a-z]+)+-[0-9]{1,2})?$",
            description="For wire `bedrock`: where its models run, such as eu-west-1; base_url is made of it.",
            extra={"expected": "a region of AWS, such as `eu-west-1`"},
        ),
    ] = ""
    headers: Annotated[
        dict[
            HeaderName,
            Annotated[str | EnvRef, Meta(extra={"expected": "text or {env: NAME}", "secret": True})],
        ],
        Meta(description="Sent with every request."),
    ] = {}
    key_check: Annotated[
        str,
        Meta(
            pattern="^(/[A-Za-z0-9._~/-]{1,200})?$",
            description="Path below base_url that answers a GET only with a good key; by default the list of models.",
            extra={"expected": "a path such as `/key`"},
        ),
    ] = ""
    also: Annotated[
        tuple[Literal["responses"], ...],
        Meta(
            description="What this server speaks beside its wire format: `responses` for OpenAI's Responses API, whose "
            "clients are then passed on instead of translated."
        ),
    ] = ()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    max_connections: Annotated[int, Meta(ge=1, le=65_535)] = 4096
    tls: Tls = Tls()
    description: Words | UnsetType = UNSET
    regions: LaterNames = UNSET
    max_parallel: LaterCount = UNSET
    rpm: LaterCount = UNSET
    tpm: LaterCount = UNSET


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
            description="What the model can do. Where it is given, requests with tools, pictures or audio that the "
            "model cannot take are refused; left out, its provider decides."
        ),
    ] = UNSET
    drop: Annotated[
        tuple[FieldName, ...],
        Meta(
            description="Fields of requests that are taken out before a target sees them, and named in "
            "`x-aspendos-dropped`: [logit_bias, seed]."
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
            "Left out: `tenant` for wire `vllm`, else `shared`."
        ),
    ] = UNSET
    fallbacks: LaterNames = UNSET
    max_parallel: LaterCount = UNSET
    rpm: LaterCount = UNSET
    tpm: LaterCount = UNSET
    regions: LaterNames = UNSET


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


class CatalogFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one file an operator edits: providers, models, prices, tiers."""

    version: Literal[1]
    providers: dict[ProviderName, ProviderEntry]
    models: dict[ModelName, ModelEntry]
    tiers: dict[TierName, TierEntry] = {}
    routers: LaterMapping = UNSET
    cache: LaterMapping = UNSET
