"""Key bytes: a 256-bit key as an operator writes it down. Refuses to know what it is for."""

import base64
from contextlib import suppress

from inference.ir.errors import InvalidField

SIZE = 32


def read_key(text: str, *, what: str, where: str, param: str) -> bytes:
    """SIZE bytes out of hex or base64 of either alphabet, padded or not.

    Raises InvalidField about `param` that says `what` (a signing key) is wrong `where`, and never repeats it.
    """
    text = text.strip()
    key = b""
    with suppress(ValueError):  # told below, for both ways alike
        if len(text) == 2 * SIZE:
            key = bytes.fromhex(text)
        else:
            padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
            key = base64.b64decode(padded, validate=True)
    if len(key) != SIZE:
        raise InvalidField(
            f"A {what} in {where} is not {SIZE} bytes in hex ({2 * SIZE} digits) or base64. "
            f"`openssl rand -hex {SIZE}` makes a good one.",
            param=param,
        )
    return key
