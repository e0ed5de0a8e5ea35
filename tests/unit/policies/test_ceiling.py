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
    BYTES_PER_SECOND,
    DEFAULT_OUTPUT,
    PIECES_PER_SEARCH,
    TOKENS_PER_PICTURE,
    TOKENS_PER_PIECE,
    TOKENS_PER_SECOND,
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
    cache_write_1h=parts,
    reasoning=parts,
    audio_input=parts,
    audio_output=parts,
    image_input=parts,
    image_output=parts,
    per_image=figures,
    per_hour=figures,
    per_million_characters=figures,
    per_search=figures,
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
    images=st.integers(0, 10),
    characters=st.integers(0, 10**6),
    audio=st.booleans(),
    audio_bytes=st.integers(0, 10**8),
    documents=st.integers(0, 10**4),
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


@given(models, asks, st.lists(shares, min_size=13, max_size=13))
def test_no_bill_within_the_limits_is_above_the_ceiling(model: Model, ask: Ask, parts: list[int]) -> None:
    found = ceiling(model, ask)
    prompt, output = found.prompt, found.answers * found.output
    units = model.kind is not Kind.CHAT
    heard, seen = ask.audio or ask.audio_bytes > 0, ask.pictures > 0
    searches = -(-(max(ask.documents, 1) + prompt // TOKENS_PER_PIECE) // PIECES_PER_SEARCH)
    most = {
        "input_tokens": prompt,
        "output_tokens": output,
        "cache_read_tokens": prompt,
        "cache_write_tokens": prompt,
        "cache_write_1h_tokens": prompt,
        "reasoning_tokens": output,
        "audio_input_tokens": prompt if heard else 0,
        "image_input_tokens": prompt if seen else 0,
        "audio_output_tokens": output,
        "image_output_tokens": output,
        "characters": ask.characters if units else 0,
        "audio_ms": 1000 * (ask.audio_bytes // BYTES_PER_SECOND) if units else 0,
        "images": max(ask.images, 1) if model.kind is Kind.IMAGE else 0,
    }
    usage = replace(
        Usage(searches=searches if model.kind is Kind.RERANK else 0),
        **{name: amount * part // 1_000 for (name, amount), part in zip(most.items(), parts, strict=True)},
    )
    assert cost_nano(usage, model.price) <= found.amount


UNITS = Price(
    input=0,
    output=0,
    per_image=40_000_000,
    per_hour=360_000_000,
    per_million_characters=15_000_000_000,
    per_search=2_000_000,
    version="u",
)
"""$0.04 a picture, $0.0001 a second, $15 per million characters, $0.002 a search."""


@pytest.mark.parametrize(
    ("kind", "ask", "nano"),
    [
        (Kind.IMAGE, Ask(prompt=50, images=3), 120_000_000),
        (Kind.IMAGE, Ask(prompt=50), 40_000_000),
        (Kind.SPEECH, Ask(prompt=50, characters=4_000), 60_000_000),
        (Kind.TRANSLATION, Ask(prompt=50, characters=1), 15_000),
        (Kind.TRANSCRIPTION, Ask(prompt=0, audio_bytes=750), 100_000),
        (Kind.TRANSCRIPTION, Ask(prompt=0, audio_bytes=751), 200_000),
        (Kind.TRANSCRIPTION, Ask(prompt=0, audio_bytes=25 * 2**20), 34_953 * 100_000),
        (Kind.RERANK, Ask(prompt=0, documents=96), 2_000_000),
        (Kind.RERANK, Ask(prompt=0, documents=97), 4_000_000),
        (Kind.RERANK, Ask(prompt=6_000, documents=1), 4_000_000),
        (Kind.CHAT, Ask(prompt=50, images=9, characters=9, audio_bytes=9, documents=9), 0),
    ],
)
def test_what_is_not_sold_by_the_token_by_hand(kind: Kind, ask: Ask, nano: int) -> None:
    """24 MiB of audio may be nine and a half hours; a prompt of 6,000 may be 25,024 tokens, 100 pieces and the one."""
    assert ceiling(replace(CHAT, kind=kind, price=UNITS), ask).amount == nano


def test_pictures_made_of_tokens_are_each_an_answer() -> None:
    made = replace(CHAT, kind=Kind.IMAGE, price=replace(PRICE, image_output=40_000_000_000))
    one, four = (ceiling(made, Ask(prompt=10, images=n)) for n in (1, 4))
    assert (one.answers, four.answers) == (1, 4)
    assert four.amount - one.amount == 3 * 1_000 * 40_000


def test_audio_and_pictures_are_dear_only_where_there_are_some() -> None:
    dear = replace(CHAT, price=replace(PRICE, audio_input=9_000_000_000, image_input=7_000_000_000))
    text, seen, heard = (
        ceiling(dear, ask)
        for ask in (
            Ask(prompt=10, max_output=0),
            Ask(prompt=10, pictures=1, max_output=0),
            Ask(prompt=10, audio=True, max_output=0),
        )
    )
    assert text.amount == text.prompt * 2_500
    assert seen.amount == seen.prompt * 7_000
    assert heard.amount == heard.prompt * 9_000


def test_a_recordings_tokens_are_bounded_by_its_length() -> None:
    assert prompt_bound(Ask(prompt=0, audio_bytes=1_500)) == UNSEEN_TOKENS + 2 * TOKENS_PER_SECOND


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CHAT])
def test_only_a_conversation_is_sent_a_limit_nobody_asked_for(kind: Kind) -> None:
    model = replace(CHAT, kind=kind, max_output=None, context_window=None)
    assert not ceiling(model, Ask(prompt=1)).assumed


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
