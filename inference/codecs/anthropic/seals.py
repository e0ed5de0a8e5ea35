"""Seals in Anthropic's dialect: signatures of other families in a thinking block's `signature`. Pure.

A client gives a thinking block back as it got it, signature included. A signature of Anthropic's own stands there
bare; that of another family is wrapped with its issuer's name (`inference/codecs/seal.py`).
"""

import base64
import binascii

import msgspec
from msgspec import Raw

from inference.codecs.seal import Seal, read, thought, write
from inference.ir.content import Family, Reasoning, Text
from inference.ir.events import Sealed

_MARK = "aspendos."
SEAL_MARK = b'"aspendos.'
"""How a wrapped one begins in JSON; within any other text the quote would be escaped."""
_encode = msgspec.json.Encoder().encode
_list = msgspec.json.Decoder(list[Raw])
_fields = msgspec.json.Decoder(dict[str, Raw])


def seal(
    issuer: Family | None, signature: str | None, redacted: str | None = None, name: str | None = None
) -> str:
    """What stands in a thinking block's `signature`; empty where nobody signed."""
    if issuer is None or (signature is None and redacted is None):
        return ""
    if issuer is Family.ANTHROPIC and redacted is None:
        return signature or ""
    wrapped = write(Seal(issuer=issuer, signature=signature, redacted=redacted, id=name))
    return _MARK + base64.urlsafe_b64encode(wrapped).decode()


def text_seal(part: Text | Sealed) -> str | None:
    """The `signature` of a thinking block that carries that of a text, which has no such field; None without one."""
    if part.issuer is None or part.signature is None:
        return None
    wrapped = write(Seal(issuer=part.issuer, signature=part.signature, text=True))
    return _MARK + base64.urlsafe_b64encode(wrapped).decode()


def unseal(text: str, signature: str) -> Reasoning:
    """The thought a thinking block gives back. A wrapping that cannot be read is nobody's signature."""
    found = read_seal(signature)
    return Reasoning(text=text) if found is None else thought(text, found)


def read_seal(signature: str) -> Seal | None:
    """Who signed, and what; None where nobody did or the wrapping cannot be read."""
    if not signature.startswith(_MARK):
        return Seal(issuer=Family.ANTHROPIC, signature=signature) if signature else None
    try:
        return read(base64.urlsafe_b64decode(signature[len(_MARK) :]))
    except (binascii.Error, ValueError):
        return None


def without_seals(messages: Raw) -> Raw:
    """Turns for Anthropic itself, as its client wrote them, without what others sealed: it could not read that, and
    would refuse it. A thought goes with its seal, a call stays without. What is no list of turns stays as it is, for
    Anthropic to judge."""
    try:
        kept = [_cleared(turn) for turn in _list.decode(messages)]
    except (msgspec.DecodeError, RecursionError):
        return messages
    return Raw(_encode([turn for turn in kept if turn is not None]))


def _cleared(turn: Raw) -> Raw | None:
    """One turn; None where nothing is left of it."""
    if SEAL_MARK not in bytes(turn):
        return turn
    fields = _fields.decode(turn)
    content = fields.get("content", Raw(b"[]"))
    if not bytes(content).startswith(b"["):
        return turn
    blocks = [_block(each) for each in _list.decode(content)]
    left = [block for block in blocks if block is not None]
    return Raw(_encode({**fields, "content": left})) if left else None


def _block(block: Raw) -> Raw | None:
    if SEAL_MARK not in bytes(block):
        return block
    fields = _fields.decode(block)
    if not bytes(fields.get("signature", b"")).startswith(SEAL_MARK):
        return block
    if bytes(fields.get("type", b"")) == b'"thinking"':
        return None
    del fields["signature"]
    return Raw(_encode(fields))
