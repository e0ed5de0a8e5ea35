"""Counting tokens when the upstream did not: no vocabulary is needed, the error is stated and tested.

Used only where a stream ended before the upstream reported usage, or a server never does. On recorded
calls of nine providers the estimates lie within a factor of two of what was reported for three prompts in
four (providers add hidden instructions) and for five streamed answers in six (short tool calls come out
too low).
"""

import math
import re

import msgspec
from msgspec import Struct

from inference.codecs.sse import event_json

_BYTES_PER_TOKEN = 4.0
_MEDIA = re.compile(rb"data:[\w/+.-]{1,100};base64,[A-Za-z0-9+/=\\]*")
_TOKENS_PER_MEDIUM = 800


class _Delta(Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    text: str | None = None


class _Sample(Struct):
    choices: list[_Choice] = []
    obfuscation: str | None = None


_sample = msgspec.json.Decoder(_Sample)


def estimate_input(prompt: bytes) -> int:
    """Tokens of a prompt from the bytes of its JSON: 4 bytes a token, 800 tokens for an inlined image."""
    media = 0
    if prompt.find(b";") >= 0 and b";base64," in prompt:  # one byte is found as fast as memory is read
        prompt, media = _MEDIA.subn(b"", prompt)
    return math.ceil(len(prompt) / _BYTES_PER_TOKEN) + media * _TOKENS_PER_MEDIUM


def estimate_text(size: int) -> int:
    """Tokens of `size` bytes of text: 4 bytes a token."""
    return math.ceil(size / _BYTES_PER_TOKEN)


def estimate_output(events: int, size: int, sample: bytes) -> int:
    """Tokens delivered by `events` events, of `size` bytes but for the first, one of which was `sample`.

    At least one token an event after the first (which carries only the role). Servers that put several
    tokens in an event are caught by the text's size: what is left when the envelopes are taken away.
    """
    if events == 0:
        return 0
    at_least = max(1, events - 1)
    try:
        decoded = _sample.decode(event_json(sample))
    except msgspec.DecodeError:
        return at_least
    if decoded.obfuscation is not None:
        return at_least  # padded on purpose: sizes say nothing
    text = 0
    for choice in decoded.choices:
        delta = choice.delta or _Delta()
        for part in (delta.content, delta.reasoning, delta.reasoning_content, choice.text):
            text += len((part or "").encode())
    envelope = len(sample) - text
    return max(at_least, math.ceil((size - (events - 1) * envelope) / _BYTES_PER_TOKEN))
