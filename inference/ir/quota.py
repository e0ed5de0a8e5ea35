"""Quota: what a provider says of the limits it holds a caller to. Pure; refuses to draw conclusions from it."""

from msgspec import Struct


class Limit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One limit, as far as it was told: how much in all, how much is left, and in how many seconds it is full again."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


class Quota(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits one answer told of; None where it said nothing. Of several of one kind, the one nearest its end.

    `tokens` are those of both directions together.
    """

    requests: Limit | None = None
    tokens: Limit | None = None
    input_tokens: Limit | None = None
    output_tokens: Limit | None = None
