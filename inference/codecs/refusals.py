"""Refusals: an upstream's error status as one of ours, the provider's own message kept. Pure.

Read by status and by the provider's codes: what a code means is in `inference/codecs/causes.py`. Of words only those by
which a format says that a model cannot hold what it is to read.
"""

from inference.codecs.causes import Cause, cause_of
from inference.codecs.overflow import Overflow
from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)

_MESSAGE_LIMIT = 2000
_KEPT = (400, 404, 409, 413, 415, 422)
_OURS = {503: 503, 529: 503, 504: 504, 408: 504}
_OVERLOADED = "upstream_overloaded"
_SURER = (Cause.POLICY, Cause.MODEL, Cause.UNPAID, Cause.PREVIOUS)
"""What a code says that no sentence gainsays."""


def refusal(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    failed: bool = False,
    cause: Cause | None = None,
    overflow: Overflow | None = None,
) -> AspendosError:
    """The error for a status. `message` is the provider's, empty where it said none; `retry_after` is in seconds.

    `code` and `kind` are its own words for what is wrong. `failed`: it is the upstream's failure, though its status
    reads as the client's. `cause`: the format itself knows why. `overflow`: how it says that there is too much to read.
    """
    message = message[:_MESSAGE_LIMIT]
    said = f": {message}" if message else "."
    cause = cause or cause_of(status, code, kind)
    if overflow is not None and cause not in _SURER and overflow.told(status, message):
        cause = Cause.CONTEXT
    if status in (401, 402) or (status == 403 and cause is not Cause.POLICY):
        return _auth()
    if status == 429:
        if cause is Cause.UNPAID:
            return _auth()
        return UpstreamRateLimited(f"The upstream is limiting requests{said}", retry_after=retry_after)
    if failed or status in (408, 425) or status >= 500:
        ours = _OURS.get(status, 502)
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}",
            code=_OVERLOADED if ours == 503 else None,
            retry_after=retry_after,
            status=ours,
        )
    if cause is Cause.MODEL and status in (400, 404):
        return UpstreamFailed(
            f"The upstream does not serve the model it was asked for{said} Whoever runs the gateway has to mend "
            "the catalogue.",
            code=cause,
        )
    if 400 <= status < 500:
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            code=cause,
            param=param,
            status=status if status in _KEPT and cause is not Cause.CONTEXT else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")


def _auth() -> UpstreamAuth:
    return UpstreamAuth(
        "The upstream refused this gateway's own credentials; your key is fine. "
        "Whoever runs the gateway has to mend its provider key."
    )
