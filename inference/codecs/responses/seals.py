"""Seals in the Responses format: other providers' signatures in `encrypted_content`, its one opaque field. Pure.

OpenAI's own stand there as they are; those of others are wrapped with their issuer's name
(`inference/codecs/seal.py`), so that they come back with the next turn, and go to their issuer alone, byte for byte.
"""

from inference.codecs.seal import Seal, read, write
from inference.ir.content import Family

_MARK = "aspendos:"


SEAL_MARK = b'"aspendos:{'
"""How a wrapped one begins in JSON; within any other text the quote would be escaped."""


def write_seal(seal: Seal) -> str:
    """What to put under `encrypted_content`."""
    if seal.issuer is Family.OPENAI_RESPONSES and seal.signature is not None:
        return seal.signature
    return _MARK + write(seal).decode()


def read_seal(content: str) -> Seal:
    """What stands under `encrypted_content`; whatever is not wrapped is OpenAI's own."""
    # What cannot be read is somebody else's text that begins like ours.
    found = read(content[len(_MARK) :]) if content.startswith(_MARK) else None
    return found or Seal(issuer=Family.OPENAI_RESPONSES, signature=content)
