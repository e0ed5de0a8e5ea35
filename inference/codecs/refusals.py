"""Refusals: an upstream's error status as one of ours, the provider's own message kept. Pure.

Read by status, never by words: what a provider's codes and reasons mean its own format knows.
"""

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


def refusal(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    failed: bool = False,
) -> AspendosError:
    """The error for a status. `message` is the provider's, empty where it said none; `retry_after` is in seconds.

    `failed`: it is the upstream's failure, though its status reads as the client's.
    """
    message = message[:_MESSAGE_LIMIT]
    said = f": {message}" if message else "."
    if status in (401, 402, 403):
        return UpstreamAuth(
            "The upstream refused this gateway's own credentials; your key is fine. "
            "Whoever runs the gateway has to mend its provider key."
        )
    if status == 429:
        return UpstreamRateLimited(
            f"The upstream is limiting requests{said}", code=code, retry_after=retry_after
        )
    if failed or status in (408, 425) or status >= 500:
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}",
            retry_after=retry_after,
            status=_OURS.get(status, 502),
        )
    if 400 <= status < 500:
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            code=code,
            param=param,
            status=status if status in _KEPT else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")
