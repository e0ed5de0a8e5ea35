"""A tier as people and programs are shown it: over HTTP, and by `aspendos check-config`. Refuses to decide anything."""

from msgspec import Struct

from inference.ir.cards import Catalog
from inference.ir.currencies import decimal_text
from inference.ir.tiers import Feature, Limits, Terms, Tier, WhenEmpty


class FeatureView(Struct, frozen=True, kw_only=True):
    """Whether a feature is included, and the limits it has beside the tier's."""

    feature: str
    included: bool
    limits: Limits
    per_user: Limits


class ModelLimitsView(Struct, frozen=True, kw_only=True):
    """Limits of the models that a glob matches, together."""

    glob: str
    models: list[str]
    limits: Limits
    per_user: Limits


class TierView(Struct, frozen=True, kw_only=True):
    """A tier. `models` are names, `globs` what they come from; `every_model` where it includes all.

    `limits` are of the holder, `per_user` of each of its users. `price` is decimal text by currency;
    100 credits are 1 US dollar. `disconnect` None: as the model says, else abort.
    """

    name: str
    description: str | None
    every_model: bool
    globs: list[str]
    models: list[str]
    limits: Limits
    per_user: Limits
    features: list[FeatureView]
    model_limits: list[ModelLimitsView]
    credits_per_month: int
    price: dict[str, str]
    priority: int
    flags: list[str]
    when_empty: WhenEmpty
    byok: bool
    disconnect: str | None


_NONE = Terms()


def tier_view(tier: Tier, catalog: Catalog) -> TierView:
    """The view of one tier of `catalog`."""
    names = {model.name for model in catalog.models.values()}
    return TierView(
        name=tier.name,
        description=tier.description,
        every_model=tier.reach is None,
        globs=list(tier.models),
        models=sorted(names if tier.reach is None else tier.reach),
        limits=tier.limits,
        per_user=tier.per_user,
        features=[_feature(tier, feature) for feature in Feature],
        model_limits=[
            ModelLimitsView(
                glob=glob,
                models=sorted(tier.matched[glob]),
                limits=terms.limits,
                per_user=terms.per_user,
            )
            for glob, terms in tier.some_models.items()
        ],
        credits_per_month=tier.credits_per_month,
        price={currency: decimal_text(amount, currency) for currency, amount in tier.price.items()},
        priority=tier.priority,
        flags=list(tier.flags),
        when_empty=tier.when_empty,
        byok=tier.byok,
        disconnect=tier.disconnect,
    )


def when_empty_text(rule: WhenEmpty) -> str:
    """What becomes of a request that is not covered, in a few words."""
    steps = [f"shorten to {rule.shorten}"] if rule.shorten is not None else []
    return ", then ".join([*steps, rule.model if rule.model is not None else "refuse"])


def _feature(tier: Tier, feature: Feature) -> FeatureView:
    terms = tier.features.get(feature, _NONE)
    included = feature not in tier.not_included
    return FeatureView(feature=feature, included=included, limits=terms.limits, per_user=terms.per_user)
