"""Signatures of webhooks: HMAC-SHA256 over the time and the body, as Stripe signs its own. Pure.

The header reads `aspendos-signature: t=<unix seconds>,v1=<hex>`, the signed text is `<t>.<body>`, and the key is
the whole secret, `whsec_` included, so any library that verifies Stripe's webhooks verifies these
(https://docs.stripe.com/webhooks#verify-manually). While a secret is being replaced there are two `v1`.

Secrets are derived from the installation's pepper and a salt that is kept, so none is stored anywhere.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from policies.api_keys import Pepper

HEADER = "aspendos-signature"
_PREFIX = "whsec_"


def secret_of(pepper: Pepper, org_id: str, salt: str) -> str:
    """The webhook secret of an organisation that belongs to `salt`."""
    digest = pepper.digest(f"aspendos webhook secret/{org_id}/{salt}")
    return _PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def signed(body: bytes, secrets: Sequence[str], now: int) -> str:
    """The header's value: one `v1` for each secret."""
    parts = [f"t={now}", *(f"v1={_digest(secret, now, body)}" for secret in secrets)]
    return ",".join(parts)


def verify(header: str, body: bytes, secret: str, *, now: float, tolerance: float = 300.0) -> bool:
    """Whether a body came from whoever holds `secret`, within `tolerance` seconds of `now`: the receiver's half."""
    fields = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in fields if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > 15:
        return False
    moment = int(times[0])
    if abs(now - moment) > tolerance:
        return False
    expected = _digest(secret, moment, body).encode()
    given = [value.encode("utf-8", "replace") for name, _, value in fields if name == "v1"]
    return any([hmac.compare_digest(expected, value) for value in given])  # noqa: C419 - all are compared, always


def _digest(secret: str, now: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
