"""Cards: what the catalogue says of providers, models and targets, frozen once read."""

from enum import StrEnum

from msgspec import Struct

from inference.ir.tiers import Disconnect, Tier

WHOLE = 1_000_000_000
"""All of a price: parts of it are told in billionths."""


class Kind(StrEnum):
    """What a model does; decides which routes may ask for it."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    IMAGE = "image"
    VIDEO = "video"
    MODERATION = "moderation"
    TRANSLATION = "translation"
    CLASSIFICATION = "classification"


class PromptCache(StrEnum):
    """Who marks up to where a prompt is cached: the client, or the gateway where the client marked nothing."""

    CLIENT = "client"
    AUTO = "auto"


class Timeouts(Struct, frozen=True, kw_only=True):
    """Limits in seconds on one attempt at a target.

    `first_byte` runs from the request's last byte to the response's first; `idle` between two pieces of
    a response, and stands still while the client itself is slow; `total` covers the whole attempt.
    """

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 900.0


class Price(Struct, frozen=True, kw_only=True):
    """What is charged, in integers; 0 where nothing is charged by that measure.

    Tokens, nano-USD per million (1 USD per million = 1_000_000_000); None: as the whole they are part of, `input` or
    `output`, and for `cache_write_1h` as `cache_write`. The rest, nano-USD: `per_image` for one, `per_search` for
    one, `per_million_characters`, and `per_hour` for an hour of audio, which makes every price by the second, minute
    or hour a whole number.

    `version` names the price in usage records: a digest of the figures, so equal prices are equal.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    per_image: int = 0
    per_hour: int = 0
    per_million_characters: int = 0
    per_search: int = 0
    version: str

    def __post_init__(self) -> None:
        """Raises ValueError for a figure below 0: it would pay callers for calling."""
        if any((getattr(self, name) or 0) < 0 for name in self.__struct_fields__ if name != "version"):
            raise ValueError(f"negative figure in {self!r}")


class AwsCredentials(Struct, frozen=True, kw_only=True):
    """What requests to AWS are signed with; `session_token` belongs to keys that were lent for a while."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Without any of it."""
        return "AwsCredentials(...)"


class Provider(Struct, frozen=True, kw_only=True):
    """Wire format x address x key. `off` says why it cannot be used now; None: it can.

    `lacks_key`: it is off only because the operator has no key for it, so a tenant's own key opens it.
    `account_headers` names the headers that speak of the operator's account: not sent with a tenant's key.
    `key_check` is the path to ask whether a key is good, None: the wire format's own. `also` names lanes that not
    every server of the format has, and this one has. `service_account` is a Google key file's JSON, or its path:
    calls carry tokens got with it. `aws` signs every call to AWS, in its `region`. `media_hosts` are hosts that its
    server may be sent to for pictures and files though they may lead inside.
    """

    name: str
    wire: str
    base_urls: tuple[str, ...]
    key: str | None = None
    key_env: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeouts: Timeouts = Timeouts()
    max_connections: int = 4096
    tls_verify: bool = True
    tls_ca: str | None = None
    off: str | None = None
    lacks_key: bool = False
    account_headers: frozenset[str] = frozenset()
    key_check: str | None = None
    also: tuple[str, ...] = ()
    service_account: str | None = None
    aws: AwsCredentials | None = None
    region: str | None = None
    media_hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the key: a card that is logged must not leak it."""
        return f"Provider({self.name!r}, wire={self.wire!r}, off={self.off!r})"


class CacheScope(StrEnum):
    """Whose prompts may meet in a server's cache: those of all tenants, or only one tenant's own.

    Where they meet, whoever sends a guess learns from the time it takes whether somebody else sent the same.
    """

    SHARED = "shared"
    TENANT = "tenant"


class Target(Struct, frozen=True, kw_only=True):
    """One place a model can be had: a provider and the model's name there.

    `cost` is what the provider charges the operator; None: as much as the model's price, so nothing is earned.
    `cache_scope` None: as the provider's wire format has it by itself. `family` says whose the model is where its name
    at the provider does not.
    """

    provider: Provider
    model: str
    weight: int = 1
    cost: Price | None = None
    cache_scope: CacheScope | None = None
    family: str | None = None


class Model(Struct, frozen=True, kw_only=True):
    """What clients ask for. `targets` holds only those that can be used now; where that is none, `off` says why.

    `batch_price` is the part of the price that calls of batches are charged, in billionths.
    `locked_targets` can be used only with a tenant's own key: their providers lack the operator's.
    `disconnect` None: the tier of whoever asks decides, and without a tier a request is aborted.
    `declares`: the catalogue says what it can, so a request that needs more is refused. `drop` names fields of
    requests that are taken out before a target sees them.
    """

    name: str
    kind: Kind
    price: Price
    batch_price: int = WHOLE
    free: bool = False
    targets: tuple[Target, ...] = ()
    locked_targets: tuple[Target, ...] = ()
    aliases: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    declares: bool = False
    drop: frozenset[str] = frozenset()
    context_window: int | None = None
    max_output: int | None = None
    description: str | None = None
    disconnect: Disconnect | None = None
    prompt_cache: PromptCache = PromptCache.CLIENT
    off: str | None = None

    def can(self, capability: str) -> bool:
        """Whether to ask it for that. Of a model of which nothing is declared anything is: its provider decides."""
        return not self.declares or capability in self.capabilities


class Catalog(Struct, frozen=True, kw_only=True):
    """A whole config/models.yaml, resolved. `models` is keyed by every name a client may use, aliases too."""

    version: str
    models: dict[str, Model]
    providers: dict[str, Provider]
    tiers: dict[str, Tier] = {}
    warnings: tuple[str, ...] = ()
