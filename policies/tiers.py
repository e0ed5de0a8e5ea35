"""Tiers: which models and features a plan includes, and what to say where it does not. Refuses to count anything.

A tier is the operator's word and an allow-list the team's or key's: a model must be in all of them (the lists are
in policies/allowlist.py). Whoever has no tier is not limited by one.
"""

from collections.abc import Collection, Iterable, Mapping

from inference.ir.cards import Kind, Model
from inference.ir.errors import Forbidden, ModelNotAllowed, Unavailable
from inference.ir.tiers import Feature, Tier

_FEATURES = {
    Kind.CHAT: Feature.CHAT,
    Kind.EMBEDDING: Feature.EMBEDDINGS,
    Kind.RERANK: Feature.RERANK,
    Kind.SPEECH: Feature.VOICE,
    Kind.TRANSCRIPTION: Feature.VOICE,
    Kind.IMAGE: Feature.IMAGES,
    Kind.VIDEO: Feature.VIDEO,
    Kind.MODERATION: Feature.MODERATION,
    Kind.TRANSLATION: Feature.TRANSLATION,
    Kind.CLASSIFICATION: Feature.CLASSIFICATION,
}
_MOST_NAMES = 8


def feature_of(kind: Kind, *, images: bool = False, audio: bool = False) -> Feature:
    """What a request makes use of: its route's feature, but a chat about sound is voice, about pictures vision."""
    if kind is Kind.CHAT and audio:
        return Feature.VOICE
    if kind is Kind.CHAT and images:
        return Feature.VISION
    return _FEATURES[kind]


def tier_named(name: str | None, tiers: Mapping[str, Tier]) -> Tier | None:
    """The tier of that name, None for no name.

    Raises Unavailable for a name the catalogue does not have. Served without its limits, one slip in a file would
    give a plan's holders everything; held to the narrowest plan, it would lock out those who pay in a way that
    looks like their own fault. So it is said aloud, until the name is back or the holder has another.
    """
    if name is None:
        return None
    tier = tiers.get(name)
    if tier is None:
        raise Unavailable(
            f"This account has the tier {name!r}, which the gateway's catalogue does not have (it has "
            f"{_listed(tiers) or 'none'}). Whoever runs the gateway must add it under `tiers:`, or give the account "
            "another tier.",
            code="unknown_tier",
        )
    return tier


def includes(tier: Tier | None, model: Model) -> bool:
    """Whether the tier includes a model. No tier includes all."""
    return tier is None or tier.reach is None or model.name in tier.reach


def require_model(tier: Tier | None, model: Model, asked: str, tiers: Mapping[str, Tier]) -> None:
    """Raises ModelNotAllowed, naming the tiers that include the model. `asked` is the name the client used."""
    if tier is None or includes(tier, model):
        return
    wider = [other.name for other in tiers.values() if includes(other, model)]
    raise ModelNotAllowed(
        f"The tier {tier.name!r} does not include the model {asked!r}; it includes {_listed(tier.models)}. "
        f"{_way_up(wider)} GET /v1/models lists what this key can reach now.",
        code="model_not_in_tier",
        param="model",
    )


def require_feature(
    tier: Tier | None, feature: Feature, tiers: Mapping[str, Tier], *, granted: Collection[str] = ()
) -> None:
    """Raises Forbidden where the tier, or the key, does not include what the request makes use of.

    `granted` are the features a key is restricted to; none: it is not restricted.
    """
    if granted and feature not in granted:
        raise Forbidden(
            f"This API key may not be used for {feature}, only for {_listed(sorted(granted))}. Whoever made it can "
            "allow more.",
            code="feature_not_allowed",
        )
    if tier is not None and feature in tier.not_included:
        wider = [other.name for other in tiers.values() if feature not in other.not_included]
        raise Forbidden(
            f"The tier {tier.name!r} does not include {feature}. {_way_up(wider)}", code="feature_not_in_tier"
        )


def _way_up(tiers: list[str]) -> str:
    if not tiers:
        return "No tier here includes it."
    if len(tiers) == 1:
        return f"The tier {tiers[0]!r} does: change to it."
    return f"These tiers do: {_listed(tiers)}."


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    text = ", ".join(found[:_MOST_NAMES])
    return f"{text} and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else text
