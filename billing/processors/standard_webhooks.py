"""Standard Webhooks: is a webhook its sender's, and is it fresh. Pure; https://www.standardwebhooks.com, version 1.

The signature is the base64 of HMAC-SHA256 over `id.timestamp.body`, after `v1,`; several may be sent, separated by
spaces, while secrets are rolled. A secret is `whsec_` and base64; some senders, Polar among them, sign with the
secret's text as it is, so both readings of it are tried.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

from billing.processors.processor import Forged

TOLERANCE = 300
"""Seconds a timestamp may differ from our clock, either way."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_TIMESTAMP = re.compile(r"\d{1,12}")


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: float) -> str:
    """The message's id, which every repetition of it has too. `headers` have lower-case names. Raises Forged."""
    if not secrets:
        raise Forged("no signing secret is set, so no webhook can be believed")
    id_, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if _ID.fullmatch(id_) is None or _TIMESTAMP.fullmatch(stamp) is None:
        raise Forged("no id or timestamp")
    content = f"{id_}.{stamp}.".encode() + body
    sent = [
        signature for signature in headers.get("webhook-signature", "").split() if signature.startswith("v1,")
    ]
    expected = [f"v1,{sign(content, key)}" for secret in secrets for key in _keys(secret)]
    if not any(hmac.compare_digest(one.encode(), other.encode()) for one in sent for other in expected):
        raise Forged("the signature does not hold")
    age = now - int(stamp)
    if abs(age) > TOLERANCE:
        raise Forged(f"signed {age:.0f} s ago" if age > 0 else f"signed {-age:.0f} s in the future")
    return id_


def sign(content: bytes, key: bytes) -> str:
    """The base64 signature of `id.timestamp.body`."""
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def _keys(secret: str) -> Iterator[bytes]:
    if not secret:
        return
    yield secret.encode()
    text = secret.removeprefix("whsec_")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return
    if decoded:
        yield decoded
