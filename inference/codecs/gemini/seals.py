"""Seals in Gemini's dialect: other families' signatures in a part's `thoughtSignature`. Pure.

A client gives a part back with the signature it came with. Google's own stand there bare; those of another family are
wrapped with their issuer's name (`inference/codecs/seal.py`). The field is bytes, base64 in JSON: Google's SDKs decode
it, and write it anew in the alphabet for addresses. (https://ai.google.dev/gemini-api/docs/thought-signatures)
"""

import base64
import binascii

import msgspec
from msgspec import Raw

from inference.codecs.seal import Seal, read, write

_MARK = b"aspendos:"
_WRAPPED = base64.b64encode(_MARK).decode()
"""The mark's nine bytes are twelve characters, whatever follows them, and the same in both alphabets."""
SEAL_MARK = b'"' + _WRAPPED.encode()
"""How a wrapped one begins in JSON; within any other text the quote would be escaped."""
_STANDARD = str.maketrans("-_", "+/")
_NAMES = ("thoughtSignature", "thought_signature")
_encode = msgspec.json.Encoder().encode
_turns = msgspec.json.Decoder(list[Raw])
_fields = msgspec.json.Decoder(dict[str, Raw])


def seal(found: Seal) -> str:
    """What stands in `thoughtSignature`."""
    return base64.b64encode(_MARK + write(found)).decode()


def unseal(signature: str) -> Seal | None:
    """What another family issued; None for a signature of Google's own, or a wrapping that cannot be read."""
    if not signature.startswith(_WRAPPED):
        return None
    text = signature.translate(_STANDARD).rstrip("=")
    try:
        return read(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)[len(_MARK) :])
    except (binascii.Error, ValueError):
        return None


def without_seals(contents: Raw) -> Raw:
    """Turns for Gemini itself, as its client wrote them, without what others sealed: it could not read that, and
    would refuse it. A thought goes with its seal. What is no list of turns stays as it is, for Gemini to judge."""
    try:
        kept = [_cleared(turn) for turn in _turns.decode(contents)]
    except (msgspec.DecodeError, RecursionError):
        return contents
    return Raw(_encode([turn for turn in kept if turn is not None]))


def _cleared(turn: Raw) -> Raw | None:
    """One turn; None where nothing is left of it."""
    if SEAL_MARK not in bytes(turn):
        return turn
    fields = _fields.decode(turn)
    parts = [_part(each) for each in _turns.decode(fields.get("parts", b"[]"))]
    left = [part for part in parts if part is not None]
    return Raw(_encode({**fields, "parts": left})) if left else None


def _part(part: Raw) -> Raw | None:
    if SEAL_MARK not in bytes(part):
        return part
    fields = _fields.decode(part)
    names = [name for name in _NAMES if bytes(fields.get(name, b"")).startswith(SEAL_MARK)]
    for name in names:
        del fields[name]
    silent = bytes(fields.get("text", b"")) == b'""'
    if names and (silent or bytes(fields.get("thought", b"")) == b"true"):
        return None
    return Raw(_encode(fields))
