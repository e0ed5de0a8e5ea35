"""Google's refusals and failures as ours, its own message kept. Pure.

`{"error": {"code", "message", "status", "details"}}`, also as the only element of an array, as streams that are no
event streams send it. A key that is none is refused with 400 there, and told by a detail's reason.
(https://cloud.google.com/apis/design/errors)
"""

import re

import msgspec
from msgspec import Raw, Struct

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)

_MESSAGE_LIMIT = 2000
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d+)?)s")
_KEY_REASONS = frozenset(
    {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED"}
)
_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class _Violation(Struct):
    field: str | None = None


class _Detail(Struct, rename="camel"):
    reason: str | None = None
    retry_delay: str | None = None
    field_violations: list[_Violation] | None = None


class _Fault(Struct):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Body(Struct):
    error: Raw = Raw(b"null")


_body = msgspec.json.Decoder(_Body)
_bodies = msgspec.json.Decoder(list[_Body])
_fault = msgspec.json.Decoder(_Fault)
_plain = msgspec.json.Decoder(str)


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """A refusal as one of ours, read by status and by Google's codes, never by words."""
    fault = _told(body)
    message = (fault.message or "")[:_MESSAGE_LIMIT]
    said = f": {message}" if message else "."
    code = fault.status if fault.status and _CODE.fullmatch(fault.status) else None
    details = fault.details or ()
    for detail in details:
        delay = _SECONDS.fullmatch(detail.retry_delay or "")
        if retry_after is None and delay is not None:
            retry_after = float(delay[1])
    keyless = status == 400 and any(detail.reason in _KEY_REASONS for detail in details)
    if status in (401, 402, 403) or keyless:
        return UpstreamAuth(
            "The upstream refused this gateway's own credentials; your key is fine. "
            "Whoever runs the gateway has to mend its provider key."
        )
    if status == 429:
        return UpstreamRateLimited(
            f"The upstream is limiting requests{said}", code=code, retry_after=retry_after
        )
    if status in (408, 425, 499) or status >= 500:
        ours = {503: 503, 529: 503, 504: 504, 408: 504}.get(status, 502)
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}", retry_after=retry_after, status=ours
        )
    if 400 <= status < 500:
        violated = next((v.field for d in details for v in d.field_violations or () if v.field), None)
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            code=code,
            param=violated[:200] if violated else None,
            status=status if status in (400, 404, 409, 413, 415, 422) else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")


def read_fault(body: bytes) -> AspendosError:
    """The same for an error inside a stream, or in an answer of status 200: its code is all there is."""
    fault = _told(body)
    code = fault.code
    status = code if isinstance(code, int) else _STATUSES.get(fault.status or "", 502)
    return read_error(status if 400 <= status < 600 else 502, None, body)


def _told(body: bytes) -> _Fault:
    """The error, as far as the body has one."""
    try:
        if body.lstrip()[:1] == b"[":
            error = next((each.error for each in _bodies.decode(body)), Raw(b"null"))
        else:
            error = _body.decode(body).error
        if bytes(error)[:1] == b'"':
            return _Fault(message=_plain.decode(error))
        return _Fault() if bytes(error) == b"null" else _fault.decode(error)
    except (msgspec.DecodeError, RecursionError):
        return _Fault()
