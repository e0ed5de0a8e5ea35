"""Vectors: JSON arrays of numbers to base64 of little-endian 32-bit floats and back. Pure.

Base64 is how OpenAI's SDKs ask for embeddings where they are not told otherwise.
(https://platform.openai.com/docs/api-reference/embeddings/create)
"""

import base64
import binascii
import sys
from array import array

import msgspec
from msgspec import Raw

from inference.ir.errors import UpstreamGarbled

_numbers = msgspec.json.Decoder(list[float])
_SWAP = sys.byteorder == "big"


def packed(vector: Raw) -> str:
    """A JSON array of numbers as base64, rounded to 32 bits. Raises UpstreamGarbled for anything else."""
    try:
        floats = array("f", _numbers.decode(vector))
    except msgspec.DecodeError:
        raise UpstreamGarbled("The upstream sent an embedding that is not a list of numbers.") from None
    if _SWAP:
        floats.byteswap()
    return base64.b64encode(floats).decode()


def unpacked(text: str) -> list[float]:
    """The numbers of a packed vector, exactly. Raises UpstreamGarbled for anything else."""
    floats = array("f")
    try:
        floats.frombytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise UpstreamGarbled("The upstream sent an embedding that is no base64 of 32-bit floats.") from None
    if _SWAP:
        floats.byteswap()
    return floats.tolist()
