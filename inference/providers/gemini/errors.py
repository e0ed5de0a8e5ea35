"""Google's refusals and failures as ours, its own message kept. Pure.

`{"error": {"code", "message", "status", "details"}}`, also as the only element of an array, as streams that are no
event streams send it. A key that is none is refused with 400 there, and told by a detail's reason.
(https://cloud.google.com/apis/design/errors)
"""

import re

import msgspec
from msgspec import Raw, Struct

from inference.codecs.causes import Cause
from inference.codecs.overflow import OF_ANTHROPIC, OF_GOOGLE, OF_MISTRAL, Overflow
from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_OVERFLOW = Overflow(*OF_GOOGLE, *OF_ANTHROPIC, *OF_MISTRAL)
"""Its own sentences, and those of the makers whose models it serves at Vertex."""
_CLOSED = 499
"""Cancelled, typically by the caller, says Google; nobody here did."""
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
    """A refusal as one of ours, read by status and by Google's codes, and by how it says that an input is too long."""
    fault = _told(body)
    code = fault.status if fault.status and _CODE.fullmatch(fault.status) else None
    details = fault.details or ()
    for detail in details:
        delay = _SECONDS.fullmatch(detail.retry_delay or "")
        if retry_after is None and delay is not None:
            retry_after = float(delay[1])
    keyless = status == 400 and any(detail.reason in _KEY_REASONS for detail in details)
    violated = next((v.field for d in details for v in d.field_violations or () if v.field), None)
    reason = next((detail.reason for detail in details if detail.reason), None)
    return refusal(
        401 if keyless else status,
        fault.message or "",
        code=reason,
        kind=code,
        cause=Cause.MODEL
        if status == 404 and fault.message
        else None,  # a model's name stands in every path of Google's
        param=violated[:200] if violated else None,
        retry_after=retry_after,
        failed=status == _CLOSED,
        overflow=_OVERFLOW,
    )


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
