"""What a tier includes, and what is said where it does not."""

import pytest

from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import Forbidden, ModelNotAllowed, Unavailable
from inference.ir.tiers import Feature, Tier
from policies.tiers import feature_of, includes, require_feature, require_model, tier_named

PRICE = Price(input=1, output=1, version="v")
SMALL, LARGE = (Model(name=name, kind=Kind.CHAT, price=PRICE) for name in ("small", "large"))
FREE = Tier(
    name="free",
    models=("small*",),
    reach=frozenset({"small"}),
    not_included=frozenset({Feature.IMAGES, Feature.VIDEO}),
)
PRO = Tier(name="pro", not_included=frozenset({Feature.VIDEO}))
ULTRA = Tier(name="ultra", not_included=frozenset({Feature.VIDEO}))
TIERS = {tier.name: tier for tier in (FREE, PRO, ULTRA)}


def test_each_kind_of_model_is_a_feature() -> None:
    assert {kind: feature_of(kind) for kind in Kind} == {
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


def test_pictures_make_a_chat_vision_and_sound_makes_it_voice() -> None:
    assert feature_of(Kind.CHAT, images=True) is Feature.VISION
    assert feature_of(Kind.CHAT, audio=True) is Feature.VOICE
    assert feature_of(Kind.CHAT, images=True, audio=True) is Feature.VOICE
    assert feature_of(Kind.EMBEDDING, images=True) is Feature.EMBEDDINGS


def test_a_tier_is_found_by_its_name_and_no_name_is_no_tier() -> None:
    assert tier_named("pro", TIERS) is PRO
    assert tier_named(None, TIERS) is None


def test_a_tier_the_catalogue_does_not_have_stops_the_request_and_is_named() -> None:
    with pytest.raises(Unavailable) as caught:
        tier_named("gold", TIERS)
    assert caught.value.code == "unknown_tier"
    assert caught.value.http_status == 503
    assert caught.value.message == (
        "This account has the tier 'gold', which the gateway's catalogue does not have (it has free, pro, ultra). "
        "Whoever runs the gateway must add it under `tiers:`, or give the account another tier."
    )
    with pytest.raises(Unavailable, match=r"\(it has none\)"):
        tier_named("gold", {})


def test_models() -> None:
    assert [includes(tier, LARGE) for tier in (None, FREE, PRO)] == [True, False, True]
    require_model(None, LARGE, "large", TIERS)
    require_model(PRO, LARGE, "large", TIERS)
    require_model(FREE, SMALL, "an-alias-of-small", TIERS)
    with pytest.raises(ModelNotAllowed) as caught:
        require_model(FREE, LARGE, "big", TIERS)
    assert caught.value.message == (
        "The tier 'free' does not include the model 'big'; it includes small*. These tiers do: pro, ultra. "
        "GET /v1/models lists what this key can reach now."
    )
    assert (caught.value.code, caught.value.param) == ("model_not_in_tier", "model")


def test_the_one_way_up_and_none() -> None:
    with pytest.raises(ModelNotAllowed, match="The tier 'pro' does: change to it"):
        require_model(FREE, LARGE, "large", {"free": FREE, "pro": PRO})
    with pytest.raises(ModelNotAllowed, match="No tier here includes it"):
        require_model(FREE, LARGE, "large", {"free": FREE})


def test_features() -> None:
    require_feature(None, Feature.VIDEO, TIERS)
    require_feature(FREE, Feature.CHAT, TIERS)
    with pytest.raises(Forbidden) as caught:
        require_feature(FREE, Feature.IMAGES, TIERS)
    assert caught.value.message == "The tier 'free' does not include images. These tiers do: pro, ultra."
    assert caught.value.code == "feature_not_in_tier"
    with pytest.raises(Forbidden, match="No tier here includes it"):
        require_feature(PRO, Feature.VIDEO, TIERS)


def test_a_key_may_be_for_some_features_only() -> None:
    require_feature(None, Feature.CHAT, TIERS, granted=["chat", "vision"])
    with pytest.raises(Forbidden, match="may not be used for images, only for chat, vision") as caught:
        require_feature(PRO, Feature.IMAGES, TIERS, granted=("vision", "chat"))
    assert caught.value.code == "feature_not_allowed"
