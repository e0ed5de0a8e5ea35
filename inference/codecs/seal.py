"""Seal: one provider's opaque piece on its way through a client that speaks another's dialect. Pure.

Signatures, redacted thoughts and encrypted reasoning are of use only to who issued them. Each dialect has one field in
which its clients give such a piece back unread; there a foreign one stands as this object, with its issuer's name, so
that it is known again and given to nobody else. How it is made to look like the dialect's own is that dialect's
affair: `seals.py` in its folder.
"""

import msgspec
from msgspec import Struct

from inference.ir.content import Family, Reasoning


class Seal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An opaque piece of `issuer`'s: of the thought it stands with, of the call named, or of the `text` before it.

    `id` is the thought's own at its issuer.
    """

    issuer: Family
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    call: str | None = None
    text: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seal).decode


def write(seal: Seal) -> bytes:
    """As JSON."""
    return _encode(seal)


def read(written: bytes | str) -> Seal | None:
    """None for what is no seal."""
    try:
        return _decode(written)
    except (msgspec.DecodeError, RecursionError):
        return None


def thought(text: str, seal: Seal) -> Reasoning:
    """What was thought, sealed. What OpenAI shows of a sealed thought is a summary of it, and goes back as one."""
    summed = seal.issuer is Family.OPENAI_RESPONSES
    return Reasoning(
        text="" if summed else text,
        summaries=(text,) if summed and text else (),
        signature=seal.signature,
        redacted=seal.redacted,
        issuer=seal.issuer,
        id=seal.id,
    )


def prefixed(text: str, sealed: Reasoning) -> Reasoning:
    """A sealed thought whose beginning came apart from its seal."""
    issuer = sealed.issuer
    assert issuer is not None
    seal = Seal(issuer=issuer, signature=sealed.signature, redacted=sealed.redacted, id=sealed.id)
    return thought(text + (sealed.text or "".join(sealed.summaries)), seal)
