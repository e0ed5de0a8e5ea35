"""Seals: other providers' signatures on their way through `encrypted_content`, the format's one opaque field. Pure.

A signature is only of use to who made it. OpenAI's own stand there as they are; those of others are wrapped, so that
they come back with the next turn, and go to their issuer alone, byte for byte.
"""

import msgspec
from msgspec import Struct

from inference.ir.content import Family

_MARK = "aspendos:"


SEAL_MARK = b'"aspendos:{'
"""How a wrapped one begins in JSON; within any other text the quote would be escaped."""


class Seal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An opaque piece of `issuer`: of the reasoning it stands with, of the call named, or of the `text` before it."""

    issuer: Family
    signature: str | None = None
    redacted: str | None = None
    call: str | None = None
    text: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seal).decode


def write_seal(seal: Seal) -> str:
    """What to put under `encrypted_content`."""
    if seal.issuer is Family.OPENAI_RESPONSES and seal.signature is not None:
        return seal.signature
    return _MARK + _encode(seal).decode()


def read_seal(content: str) -> Seal:
    """What stands under `encrypted_content`; whatever is not wrapped is OpenAI's own."""
    if content.startswith(_MARK):
        try:
            return _decode(content[len(_MARK) :])
        except msgspec.DecodeError:
            pass  # somebody else's text that begins like ours
    return Seal(issuer=Family.OPENAI_RESPONSES, signature=content)
