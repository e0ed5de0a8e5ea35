"""The most a request can cost: never less than any bill within the limits, and the inverse of what money buys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.pricing import cost_nano
from inference.codecs.token_estimate import estimate_input
from inference.ir.cards import Kind, Model, Price
from inference.ir.usage import Usage
from policies.ceiling import (
    DEFAULT_OUTPUT,
    TOKENS_PER_PICTURE,
    UNSEEN_TOKENS,
    Ask,
    affordable_output,
    ceiling,
    output_bought,
    output_cost,
    prompt_bound,
)

PRICE = Price(input=2_000_000_000, output=10_000_000_000, cache_write=2_500_000_000, version="v")
"""$2, $10, cache writes $2.50: 2,000, 10,000 and 2,500 nano-USD a token."""
CHAT = Model(name="m", kind=Kind.CHAT, price=PRICE, max_output=1_000, context_window=100_000)

figures = st.integers(0, 10**15)
parts = st.none() | figures
prices = st.builds(
    Price,
    input=figures,
    output=figures,
    cache_read=parts,
    cache_write=parts,
    reasoning=parts,
    version=st.just("v"),
)
counts = st.none() | st.integers(1, 10**9)
models = st.builds(
    Model,
    name=st.just("m"),
    kind=st.sampled_from(Kind),
    price=prices,
    max_output=counts,
    context_window=counts,
)
asks = st.builds(
    Ask,
    prompt=st.integers(0, 10**8),
    pictures=st.integers(0, 100),
    max_output=st.none() | st.integers(0, 10**9),
    answers=st.integers(1, 128),
)
shares = st.integers(0, 1_000)


def test_by_hand() -> None:
    found = ceiling(CHAT, Ask(prompt=100, max_output=50))
    assert found.prompt == 400 + UNSEEN_TOKENS
    assert (found.output, found.answers, found.assumed) == (50, 1, False)
    assert found.amount == (400 + 1_024) * 2_500 + 50 * 10_000


def test_each_picture_and_each_answer_is_counted() -> None:
    assert prompt_bound(Ask(prompt=0, pictures=3)) == UNSEEN_TOKENS + 3 * TOKENS_PER_PICTURE
    one, three = (ceiling(CHAT, Ask(prompt=10, max_output=7, answers=n)) for n in (1, 3))
    assert three.amount - one.amount == 2 * 7 * 10_000


def test_a_prompt_is_at_most_what_the_model_takes_in() -> None:
    assert ceiling(CHAT, Ask(prompt=10**9, max_output=1)).prompt == 100_000


@pytest.mark.parametrize(
    ("asked", "most", "window", "expected"),
    [
        (50, 1_000, 100_000, (50, False)),
        (5_000, 1_000, 100_000, (1_000, False)),
        (None, 1_000, 100_000, (1_000, False)),
        (None, None, 100_000, (100_000, False)),
        (10**9, None, 100_000, (100_000, False)),
        (50, None, None, (50, False)),
        (None, None, None, (DEFAULT_OUTPUT, True)),
        (-5, None, None, (0, False)),
    ],
)
def test_how_long_an_answer_may_be(
    asked: int | None, most: int | None, window: int | None, expected: tuple[int, bool]
) -> None:
    model = replace(CHAT, max_output=most, context_window=window)
    found = ceiling(model, Ask(prompt=1, max_output=asked))
    assert (found.output, found.assumed) == expected


def test_embeddings_pay_for_their_input_only() -> None:
    found = ceiling(replace(CHAT, kind=Kind.EMBEDDING), Ask(prompt=10))
    assert (found.output, found.amount) == (0, (40 + 1_024) * 2_500)


def test_free_is_free() -> None:
    assert ceiling(replace(CHAT, free=True), Ask(prompt=10**6)).amount == 0


@given(models, asks, st.tuples(shares, shares, shares, shares, shares))
def test_no_bill_within_the_limits_is_above_the_ceiling(
    model: Model, ask: Ask, parts: tuple[int, int, int, int, int]
) -> None:
    found = ceiling(model, ask)
    prompt, output, read, write, thought = parts
    usage = Usage(
        input_tokens=found.prompt * prompt // 1_000,
        output_tokens=found.answers * found.output * output // 1_000,
        cache_read_tokens=found.prompt * read // 1_000,
        cache_write_tokens=found.prompt * write // 1_000,
        reasoning_tokens=found.answers * found.output * thought // 1_000,
    )
    assert cost_nano(usage, model.price) <= found.amount


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode), st.integers(0, 3))
def test_the_bound_of_a_prompt_is_a_token_for_each_byte_and_never_below_our_own_counter(
    text: bytes, pictures: int
) -> None:
    image = b'"data:image/png;base64,' + b"A" * 5_000 + b'"'
    estimate = estimate_input(text + image * pictures)
    bound = prompt_bound(Ask(prompt=estimate, pictures=pictures))
    assert bound >= len(text) + UNSEEN_TOKENS + pictures * TOKENS_PER_PICTURE
    assert bound >= estimate


@given(models, asks, st.integers(0, 10**18))
def test_what_an_amount_affords_costs_no_more_and_one_token_more_would(
    model: Model, ask: Ask, amount: int
) -> None:
    whole = ceiling(model, ask)
    longest = affordable_output(model, ask, amount)
    assert 0 <= longest <= whole.output
    if longest:
        assert ceiling(model, replace(ask, max_output=longest)).amount <= amount
    if longest < whole.output:
        assert ceiling(model, replace(ask, max_output=longest + 1)).amount > amount


@given(prices, st.integers(0, 10**9), st.integers(-5, 10**18))
def test_a_streams_next_stretch_and_what_is_held_for_it(price: Price, tokens: int, amount: int) -> None:
    held = output_cost(tokens, price)
    for thought in (0, tokens // 2, tokens):
        assert cost_nano(Usage(output_tokens=tokens, reasoning_tokens=thought), price) <= held
    bought = output_bought(amount, price)
    if bought is None:
        assert held == 0
    else:
        assert output_cost(bought, price) <= max(amount, 0) < output_cost(bought + 1, price)
        assert (output_bought(held, price) or 0) >= tokens


@given(models, asks, st.integers(0, 10**6))
def test_more_of_anything_never_costs_less(model: Model, ask: Ask, more: int) -> None:
    base = ceiling(model, ask).amount
    assert ceiling(model, replace(ask, prompt=ask.prompt + more)).amount >= base
    assert ceiling(model, replace(ask, answers=ask.answers + more)).amount >= base
    if ask.max_output is not None:
        assert ceiling(model, replace(ask, max_output=ask.max_output + more)).amount >= base
