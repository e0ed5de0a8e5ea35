"""What becomes of a request that the funds do not cover: total, deterministic, never more than there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from inference.ir.cards import Kind, Model, Price, Provider, Target
from inference.ir.tiers import REFUSE, WhenEmpty
from policies.ceiling import Ask, ceiling
from policies.degrade import Proceed, Refuse, Shorten, Switch, decide

TARGET = Target(provider=Provider(name="p", wire="openai", base_urls=("http://h",)), model="x")
DEAR = Model(
    name="dear",
    kind=Kind.CHAT,
    price=Price(input=1_000_000_000, output=10_000_000_000, version="v"),
    max_output=1_000,
    targets=(TARGET,),
)
"""$1 and $10: 1,000 and 10,000 nano-USD a token."""
CHEAP = replace(DEAR, name="cheap", price=Price(input=100_000_000, output=100_000_000, version="w"))
FREE = replace(DEAR, name="free", free=True, price=Price(input=0, output=0, version="f"))
ASK = Ask(prompt=100)
PROMPT = (400 + 1_024) * 1_000
WHOLE = PROMPT + 1_000 * 10_000


def test_what_is_covered_proceeds() -> None:
    decision = decide(DEAR, ASK, have=WHOLE)
    assert isinstance(decision, Proceed)
    assert decision.ceiling.amount == WHOLE


def test_where_nobody_pays_nothing_is_missing() -> None:
    assert isinstance(decide(DEAR, ASK, have=None), Proceed)


@pytest.mark.parametrize("have", [0, -(10**12)])
def test_a_free_model_is_never_blocked(have: int) -> None:
    decision = decide(FREE, ASK, have=have)
    assert isinstance(decision, Proceed)
    assert decision.ceiling.amount == 0


def test_a_refusal_says_what_is_missing_and_what_would_do() -> None:
    assert decide(DEAR, ASK, have=WHOLE - 1) == Refuse(needs=WHOLE, missing=1, affords=999)
    assert decide(DEAR, ASK, have=-5) == Refuse(needs=WHOLE, missing=WHOLE + 5, affords=0)


def test_an_answer_is_shortened_to_what_there_is() -> None:
    rule = WhenEmpty(shorten=64)
    decision = decide(DEAR, ASK, have=PROMPT + 64 * 10_000 + 9_999, rule=rule)
    assert isinstance(decision, Shorten)
    assert (decision.max_output, decision.ceiling.amount) == (64, PROMPT + 64 * 10_000)
    assert isinstance(decide(DEAR, ASK, have=PROMPT + 64 * 10_000 - 1, rule=rule), Refuse)


def test_an_embedding_cannot_be_shortened() -> None:
    model = replace(DEAR, kind=Kind.EMBEDDING)
    assert isinstance(decide(model, ASK, have=PROMPT - 1, rule=WhenEmpty(shorten=1)), Refuse)


def test_only_a_conversation_can_be_shortened() -> None:
    rule = WhenEmpty(shorten=64)
    have = PROMPT + 64 * 10_000
    assert isinstance(decide(DEAR, ASK, have=have, rule=rule), Shorten)
    for kind in (Kind.IMAGE, Kind.SPEECH, Kind.TRANSCRIPTION):
        decision = decide(replace(DEAR, kind=kind), ASK, have=have, rule=rule)
        assert isinstance(decision, Refuse)
        assert decision.affords == 0


def test_a_shorter_answer_is_to_the_same_question() -> None:
    ask = Ask(prompt=100, pictures=2, audio=True, answers=2)
    model = replace(DEAR, price=replace(DEAR.price, audio_input=7_000_000_000))
    prompt = (400 + 1_024 + 2 * 8_600) * 7_000
    decision = decide(model, ask, have=prompt + 2 * 64 * 10_000, rule=WhenEmpty(shorten=64))
    assert isinstance(decision, Shorten)
    assert (decision.max_output, decision.ceiling.amount) == (64, prompt + 2 * 64 * 10_000)


def test_another_model_answers() -> None:
    rule = WhenEmpty(model="cheap")
    decision = decide(DEAR, ASK, have=WHOLE // 10, rule=rule, other=CHEAP)
    assert decision == Switch(model=CHEAP, ceiling=ceiling(CHEAP, ASK))
    assert isinstance(decide(DEAR, ASK, have=0, rule=rule, other=CHEAP), Refuse)
    assert isinstance(decide(DEAR, ASK, have=0, rule=WhenEmpty(model="free"), other=FREE), Switch)


@pytest.mark.parametrize(
    "other",
    [None, DEAR, replace(FREE, kind=Kind.EMBEDDING), replace(FREE, targets=(), off="p: KEY is not set")],
    ids=["gone", "itself", "another kind", "off"],
)
def test_a_model_that_cannot_stand_in_does_not(other: Model | None) -> None:
    assert isinstance(decide(DEAR, ASK, have=0, rule=WhenEmpty(model="other"), other=other), Refuse)


def test_a_shorter_answer_comes_before_another_model() -> None:
    rule = WhenEmpty(shorten=64, model="free")
    assert isinstance(decide(DEAR, ASK, have=WHOLE // 2, rule=rule, other=FREE), Shorten)
    assert isinstance(decide(DEAR, ASK, have=PROMPT, rule=rule, other=FREE), Switch)


amounts = st.none() | st.integers(-(10**12), 10**12)
rules = st.builds(
    WhenEmpty,
    shorten=st.none() | st.integers(1, 2_000),
    model=st.none() | st.sampled_from(["cheap", "free", "dear"]),
)
asks = st.builds(
    Ask,
    prompt=st.integers(0, 10**6),
    pictures=st.integers(0, 3),
    max_output=st.none() | st.integers(0, 10**6),
    answers=st.integers(1, 8),
)
figures = st.integers(0, 10**13)
models = st.builds(
    Model,
    name=st.just("dear"),
    kind=st.sampled_from([Kind.CHAT, Kind.EMBEDDING]),
    price=st.builds(Price, input=figures, output=figures, version=st.just("v")),
    max_output=st.none() | st.integers(1, 10**6),
    free=st.booleans(),
    targets=st.just((TARGET,)),
)


@given(models, asks, amounts, rules, st.sampled_from([None, CHEAP, FREE, DEAR]))
def test_whatever_is_asked_there_is_one_answer_that_never_holds_more_than_there_is(
    model: Model, ask: Ask, have: int | None, rule: WhenEmpty, other: Model | None
) -> None:
    decision = decide(model, ask, have=have, rule=rule, other=other)
    assert decide(model, ask, have=have, rule=rule, other=other) == decision
    whole = ceiling(model, ask)
    if model.free or have is None or whole.amount <= have:
        assert decision == Proceed(ceiling=whole)
        return
    match decision:
        case Shorten(max_output=longest, ceiling=cut):
            assert rule.shorten is not None
            assert rule.shorten <= longest < whole.output
            assert cut.amount <= have
            assert cut.output == longest
        case Switch(model=instead, ceiling=cut):
            assert instead is other
            assert instead.kind is model.kind
            assert cut.amount == 0 or cut.amount <= have
        case Refuse(needs=needs, missing=missing, affords=affords):
            assert needs == whole.amount
            assert missing == needs - have > 0
            assert rule.shorten is None or affords < rule.shorten
        case Proceed():
            assert whole.amount == 0


@given(models, asks, amounts)
def test_without_a_rule_it_is_all_or_nothing(model: Model, ask: Ask, have: int | None) -> None:
    assert isinstance(decide(model, ask, have=have, rule=REFUSE, other=FREE), Proceed | Refuse)
