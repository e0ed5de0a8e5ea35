"""Pricing: what a call costs, in integers. Pure; refuses floats, clocks and negative bills."""

import math

from inference.ir.cards import Price
from inference.ir.usage import UNCOMMON, Usage

TOKENS_PER_PRICE = 1_000_000
"""A price is nano-USD for this many tokens."""

MS_PER_HOUR = 3_600_000
"""A price of audio is nano-USD for this many milliseconds."""

_FINEST = math.lcm(TOKENS_PER_PRICE, MS_PER_HOUR)

NANO_PER_USD = 1_000_000_000


def cost_nano(usage: Usage, price: Price) -> int:
    """The cost of one call in nano-USD, rounded half up once, at the end.

    `input_tokens` includes the cached tokens and `output_tokens` the reasoning tokens, so each token is
    priced once: plain input, cache reads, cache writes, plain output, reasoning, and the audio and picture tokens of
    both. A part whose price is None costs what the whole does, a cache write for an hour what any cache write does.
    Pictures, searches, characters and audio are charged besides; audio by the millisecond, so a provider that rounds
    to whole seconds has to report them so.

    Providers contradict themselves (more cached tokens than input, say), and a token may be two things at once
    (audio, read from a cache). The whole is believed and its parts are cut to it in turn. Input: reads, then writes
    (of which those for an hour are a part), then audio, then pictures; output: reasoning, then audio, then pictures.
    So a bill is never negative, never falls when a whole grows, and never exceeds the whole at its dearest price.

    Raises ValueError when a count is negative: that is no report but a bug, and guessing what it meant would be
    guessing with money. A price cannot be.
    """
    given, made = usage.input_tokens, usage.output_tokens
    read, written, reasoning = usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    if given < 0 or made < 0 or read < 0 or written < 0 or reasoning < 0:
        raise ValueError(f"negative token count in {usage!r}")
    if (
        usage.cache_write_1h_tokens
        or usage.audio_input_tokens
        or usage.audio_output_tokens
        or usage.image_input_tokens
        or usage.image_output_tokens
        or usage.characters
        or usage.audio_ms
        or usage.images
        or usage.searches
    ):
        return _cost_of_all(usage, price)
    total = given * price.input + made * price.output
    # The parts cost more or less than what they are part of.
    if read and price.cache_read is not None:
        total += min(read, given) * (price.cache_read - price.input)
    if written and price.cache_write is not None:
        total += min(written, given - min(read, given)) * (price.cache_write - price.input)
    if reasoning and price.reasoning is not None:
        total += min(reasoning, made) * (price.reasoning - price.output)
    return (total + TOKENS_PER_PRICE // 2) // TOKENS_PER_PRICE


def _cost_of_all(usage: Usage, price: Price) -> int:
    """The same for a call that has more than plain tokens; too slow for the many that have not."""
    if min(getattr(usage, name) for name in UNCOMMON) < 0:
        raise ValueError(f"negative count in {usage!r}")
    written = price.input if price.cache_write is None else price.cache_write
    long = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    tokens = _shared(
        usage.input_tokens,
        price.input,
        (usage.cache_read_tokens, price.cache_read),
        (long, written if price.cache_write_1h is None else price.cache_write_1h),
        (usage.cache_write_tokens - long, written),
        (usage.audio_input_tokens, price.audio_input),
        (usage.image_input_tokens, price.image_input),
    ) + _shared(
        usage.output_tokens,
        price.output,
        (usage.reasoning_tokens, price.reasoning),
        (usage.audio_output_tokens, price.audio_output),
        (usage.image_output_tokens, price.image_output),
    )
    per_million = (
        tokens
        + usage.characters * price.per_million_characters
        + (usage.images * price.per_image + usage.searches * price.per_search) * TOKENS_PER_PRICE
    )
    # The smallest unit in which both a millionth and a millisecond's part of an hour are whole.
    total = per_million * (_FINEST // TOKENS_PER_PRICE) + usage.audio_ms * price.per_hour * (
        _FINEST // MS_PER_HOUR
    )
    return (total + _FINEST // 2) // _FINEST


def _shared(whole: int, rate: int, *parts: tuple[int, int | None]) -> int:
    """`whole` tokens, each at the rate of the first part that has room for it, the rest at `rate`."""
    total = 0
    for count, own_rate in parts:
        cut = min(count, whole)
        whole -= cut
        total += cut * (rate if own_rate is None else own_rate)
    return total + whole * rate


def usd(nano: int) -> str:
    """Nano-USD as exact decimal dollars: 12_345 -> "0.000012345", 1_500_000_000 -> "1.5", 0 -> "0".

    Never an exponent, never a rounded digit, no trailing zeros.
    """
    if nano < 0:
        return f"-{usd(-nano)}"
    whole, fraction = divmod(nano, NANO_PER_USD)
    return f"{whole}.{str(fraction).zfill(9).rstrip('0')}" if fraction else str(whole)
