"""Ceiling: the most a request can cost, and what an amount can buy. Pure; integers, nano-USD, rounded up.

What is held is at least what is settled, for every answer within the limits sent upstream: each part of the usage is
taken at the dearest price it can have. How many tokens a prompt has is the provider's count, which nobody knows
before. The bound used: one token for each byte, which holds for every vocabulary of byte pairs (a token stands for
one byte or more); to that 1,024 for what providers add unseen, and 8,600 for a picture. Of 742 recorded calls of nine
providers three counted more: an agent that searched the web on the way, and a proxy that added results of its own.
Such a call is settled above its hold, which the ledger books.

What is not sold by the token is counted beforehand where it can be: pictures asked for, characters to speak or
translate. How long audio is, its bytes do not say: 750 of them are taken for a second, which is Opus at 6 kbit/s, the
least its encoders are asked for (RFC 6716, 2.1.1); silence packs tighter. A ranking is taken for one search per 100
pieces of 250 tokens, every document at least one: Cohere cuts documents at 500 tokens, the query's among them. What a
model searches on the way is not known before.
"""

from msgspec import Struct

from inference.ir.cards import Kind, Model, Price

_PER_PRICE = 1_000_000
"""A price is for so many tokens."""

BYTES_PER_ESTIMATED_TOKEN = 4
"""What inference/codecs/token_estimate.py divides by: its estimate, times this, is the prompt's size in bytes."""

UNSEEN_TOKENS = 1_024
TOKENS_PER_PICTURE = 8_600
BYTES_PER_SECOND = 750
"""Of audio, at the least."""
TOKENS_PER_SECOND = 50
"""Of audio, at the most: Google counts 32 (https://ai.google.dev/gemini-api/docs/audio), OpenAI fewer."""
PIECES_PER_SEARCH = 100
TOKENS_PER_PIECE = 250
_SECONDS_PER_HOUR = 3_600
DEFAULT_OUTPUT = 16_384
"""Tokens of one answer, where neither the client, nor the catalogue, nor a context window says."""

# A member of an enumeration costs more to look up than all else that is done for most requests.
_CHAT, _IMAGE, _RERANK = Kind.CHAT, Kind.IMAGE, Kind.RERANK
_WRITES_NOTHING = frozenset({Kind.EMBEDDING, Kind.RERANK, Kind.MODERATION, Kind.CLASSIFICATION})
"""Kinds of which only the input is counted."""


class Ask(Struct, frozen=True, kw_only=True):
    """What is known of a request before it is sent.

    `prompt` is the estimate in tokens. `max_output` is the client's own limit for one answer, None: none given.
    `answers` is how many are written: `n` or `best_of`, times the prompts of a completion. `pictures` are shown,
    `images` asked for; `audio`: there is some in the prompt, `audio_bytes`: as a file of so many bytes. `characters`
    are to be spoken or translated, `documents` to be ranked.
    """

    prompt: int
    pictures: int = 0
    images: int = 0
    characters: int = 0
    audio: bool = False
    audio_bytes: int = 0
    documents: int = 0
    max_output: int | None = None
    answers: int = 1


class Ceiling(Struct, frozen=True, kw_only=True):
    """The most a request can cost: tokens of the prompt, tokens of each answer, nano-USD of all.

    `assumed`: nobody set a limit to the answer, so `output` must be sent upstream as one for this to be true. Only a
    conversation can be sent one: of what else there is, an answer is taken to be no longer than the default.
    """

    prompt: int
    output: int
    answers: int
    amount: int
    assumed: bool = False


def ceiling(model: Model, ask: Ask, *, default_output: int = DEFAULT_OUTPUT) -> Ceiling:
    """The most `ask` can cost at `model`'s price. Nothing for a free model."""
    prompt = prompt_bound(ask, model.context_window)
    output, assumed = _output_bound(model, ask, default_output)
    answers = ask.answers if ask.answers > 1 else 1
    if model.kind is _IMAGE and ask.images > answers:
        answers = ask.images  # a picture is an answer, where it is made of tokens
    total = 0 if model.free else _before(model, ask, prompt) + answers * output * dearest_output(model.price)
    return Ceiling(prompt=prompt, output=output, answers=answers, amount=_up(total), assumed=assumed)


def prompt_bound(ask: Ask, context_window: int | None = None) -> int:
    """The most tokens a provider can count in the prompt; never more than the model takes in."""
    bound = UNSEEN_TOKENS
    if ask.prompt > 0:
        bound += BYTES_PER_ESTIMATED_TOKEN * ask.prompt
    if ask.pictures > 0:
        bound += TOKENS_PER_PICTURE * ask.pictures
    if ask.audio_bytes > 0:
        bound += TOKENS_PER_SECOND * _seconds(ask)
    return bound if context_window is None or bound < context_window else context_window


def affordable_output(model: Model, ask: Ask, amount: int, *, default_output: int = DEFAULT_OUTPUT) -> int:
    """The longest each answer may be for the whole to cost no more than `amount`, at most what was asked for.

    0 where the prompt alone may cost more, and where the model writes nothing.
    """
    most = ceiling(model, ask, default_output=default_output)
    if model.free or most.amount <= amount:
        return most.output
    left = amount * _PER_PRICE - _before(model, ask, most.prompt)
    rate = most.answers * dearest_output(model.price)
    # Rounding up once, at the end, never adds to a whole amount: no slack is needed.
    return max(0, min(most.output, left // rate)) if rate and left > 0 else 0


def output_cost(tokens: int, price: Price) -> int:
    """The most `tokens` of output can cost: what to hold for a stream's next stretch."""
    return _up(tokens * dearest_output(price))


def output_bought(amount: int, price: Price) -> int | None:
    """How many tokens of output `amount` is sure to pay for; None: any number."""
    rate = dearest_output(price)
    return max(amount, 0) * _PER_PRICE // rate if rate else None


def dearest_input(price: Price) -> int:
    """The most a token of text can cost as input: fresh, read from a cache or written to one."""
    dearest, read, write, hour = price.input, price.cache_read, price.cache_write, price.cache_write_1h
    if read is not None and read > dearest:
        dearest = read
    if write is not None and write > dearest:
        dearest = write
    return hour if hour is not None and hour > dearest else dearest


def dearest_output(price: Price) -> int:
    """The most a token of output can cost: said, only thought, spoken or drawn."""
    dearest, thought, spoken, drawn = price.output, price.reasoning, price.audio_output, price.image_output
    if thought is not None and thought > dearest:
        dearest = thought
    if spoken is not None and spoken > dearest:
        dearest = spoken
    return drawn if drawn is not None and drawn > dearest else dearest


def _before(model: Model, ask: Ask, prompt: int) -> int:
    """The most all but the answer's tokens can cost, in millionths of a nano-USD."""
    price = model.price
    rate = dearest_input(price)
    if ask.pictures > 0 and price.image_input is not None and price.image_input > rate:
        rate = price.image_input
    heard = ask.audio or ask.audio_bytes > 0
    if heard and price.audio_input is not None and price.audio_input > rate:
        rate = price.audio_input
    return prompt * rate if model.kind is _CHAT else prompt * rate + _units(model, ask, prompt)


def _units(model: Model, ask: Ask, prompt: int) -> int:
    """What is not sold by the token, in millionths of a nano-USD. A picture, or a search, is the least there is."""
    price = model.price
    total = max(ask.characters, 0) * price.per_million_characters
    if ask.audio_bytes > 0:
        total -= -_seconds(ask) * price.per_hour * _PER_PRICE // _SECONDS_PER_HOUR
    if model.kind is _IMAGE:
        total += max(ask.images, 1) * price.per_image * _PER_PRICE
    if model.kind is _RERANK:
        pieces = max(ask.documents, 1) + prompt // TOKENS_PER_PIECE
        total += -(-pieces // PIECES_PER_SEARCH) * price.per_search * _PER_PRICE
    return total


def _seconds(ask: Ask) -> int:
    return -(-ask.audio_bytes // BYTES_PER_SECOND)


def _output_bound(model: Model, ask: Ask, default: int) -> tuple[int, bool]:
    """The shortest of the limits there are. Every request asks: comparisons, because `min` of a list costs more."""
    if model.kind in _WRITES_NOTHING:
        return 0, False
    least, most, window = ask.max_output, model.max_output, model.context_window
    if most is not None and (least is None or most < least):
        least = most
    if window is not None and (least is None or window < least):
        least = window
    if least is None:
        return default, model.kind is _CHAT
    return (least if least > 0 else 0), False


def _up(total: int) -> int:
    return -(-total // _PER_PRICE)
