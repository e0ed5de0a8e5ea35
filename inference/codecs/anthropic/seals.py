"""Seals: signatures of other families on their way through a client that speaks Anthropic's dialect. Pure.

A client gives a thinking block back as it got it, signature included. A signature of Anthropic's own stands there
bare; that of another family is wrapped with its issuer's name, so that it is known again and given to nobody else.
"""

import base64
import binascii

import msgspec
from msgspec import Struct

from inference.ir.content import Family, Reasoning

_MARK = "aspendos."


class _Wrapped(Struct, omit_defaults=True):
    issuer: Family
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None


_encode = msgspec.json.Encoder().encode
_wrapped = msgspec.json.Decoder(_Wrapped)


def seal(
    issuer: Family | None, signature: str | None, redacted: str | None = None, name: str | None = None
) -> str:
    """What stands in a thinking block's `signature`; empty where nobody signed."""
    if issuer is None or (signature is None and redacted is None):
        return ""
    if issuer is Family.ANTHROPIC and redacted is None:
        return signature or ""
    wrapped = _encode(_Wrapped(issuer=issuer, signature=signature, redacted=redacted, id=name))
    return _MARK + base64.urlsafe_b64encode(wrapped).decode()


def unseal(text: str, signature: str) -> Reasoning:
    """The thought a thinking block gives back. A wrapping that cannot be read is nobody's signature."""
    if not signature:
        return Reasoning(text=text)
    if not signature.startswith(_MARK):
        return Reasoning(text=text, signature=signature, issuer=Family.ANTHROPIC)
    try:
        found = _wrapped.decode(base64.urlsafe_b64decode(signature[len(_MARK) :]))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return Reasoning(text=text)
    return Reasoning(
        text=text,
        signature=found.signature,
        redacted=found.redacted,
        issuer=found.issuer,
        id=found.id,
    )
