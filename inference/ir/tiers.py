"""Tiers: what a plan includes and how much of it, frozen once read. Refuses to know who has which."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

NANO_PER_CREDIT = 10_000_000
"""One credit is one US cent."""

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Feature(StrEnum):
    """What a request makes use of; each request uses one."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    VOICE = "voice"
    TRANSLATION = "translation"
    VISION = "vision"
    IMAGES = "images"
    VIDEO = "video"
    MODERATION = "moderation"
    CLASSIFICATION = "classification"


class Rates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most so many in any second, minute, hour or day. What is left out is not limited."""

    second: Count | None = None
    minute: Count | None = None
    hour: Count | None = None
    day: Count | None = None

    def windows(self) -> Iterator[tuple[int, int]]:
        """(seconds, limit) of each that is given, the shortest first."""
        for seconds, limit in (
            (1, self.second),
            (60, self.minute),
            (3_600, self.hour),
            (86_400, self.day),
        ):
            if limit is not None:
                yield seconds, limit


NO_RATES = Rates()


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one holder may do in a time, and at a time. The same words in YAML and in the management API."""

    requests: Rates = NO_RATES
    tokens: Rates = NO_RATES
    parallel: Annotated[Count | None, Meta(description="Requests at a time.")] = None


NO_LIMITS = Limits()


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of a part of a tier (a feature, some models): the holder's, and each user's of the holder."""

    limits: Limits = NO_LIMITS
    per_user: Limits = NO_LIMITS


class WhenEmpty(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of a request that the credit left does not cover.

    It is shortened, where `shorten` says down to how many tokens of output; where that does not suffice or is
    not said, it goes to the model `model`; where that is not said either, it is refused.
    """

    shorten: int | None = None
    model: str | None = None


REFUSE = WhenEmpty()


class Disconnect(StrEnum):
    """What becomes of a request whose client hung up: cancelled at once, or read to its end for the record."""

    ABORT = "abort"
    DRAIN = "drain"


class Tier(Struct, frozen=True, kw_only=True):
    """One plan. `limits` hold for the holder: the user, team or organisation that has the tier.

    `models` are the globs as written, `reach` the names of the models they match, None: every model.
    `not_included` are features that are refused; `features` and `some_models` (by glob) carry limits of their
    own. `matched` names, for each glob of `some_models`, the models it covers.
    `credits_per_month` are US cents. `price` is a month's price in each currency's smallest unit.
    `priority`: a lower number is served first. `flags` are words for extensions and clients to read.
    """

    name: str
    description: str | None = None
    models: tuple[str, ...] = ()
    reach: frozenset[str] | None = None
    limits: Limits = NO_LIMITS
    per_user: Limits = NO_LIMITS
    not_included: frozenset[Feature] = frozenset()
    features: dict[Feature, Terms] = {}
    some_models: dict[str, Terms] = {}
    matched: dict[str, frozenset[str]] = {}
    credits_per_month: int = 0
    price: dict[str, int] = {}
    priority: int = 100
    flags: tuple[str, ...] = ()
    when_empty: WhenEmpty = REFUSE
    byok: bool = True
    disconnect: Disconnect | None = None
