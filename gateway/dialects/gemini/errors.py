"""Errors as Google's SDKs read them, whole and inside a stream. Pure. (https://cloud.google.com/apis/design/errors)"""

import msgspec

from inference.ir.errors import AspendosError

_encode = msgspec.json.Encoder().encode
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPES = "type.googleapis.com/google.rpc."


def error_body(error: AspendosError, request_id: str | None = None) -> bytes:
    """Google's error object: our code as the reason, the field as a violation, the wait as retry info."""
    status = error.http_status
    info: dict[str, object] = {"@type": _TYPES + "ErrorInfo", "reason": error.code, "domain": "aspendos"}
    if request_id:
        info["metadata"] = {"request_id": request_id}
    details: list[dict[str, object]] = [info]
    if error.param and status == 400:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPES + "BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        wait = f"{max(error.retry_after, 0):.3f}".rstrip("0").rstrip(".")
        details.append({"@type": _TYPES + "RetryInfo", "retryDelay": f"{wait}s"})
    word = _STATUSES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return _encode({"error": {"code": status, "message": error.message, "status": word, "details": details}})


def event(payload: bytes) -> bytes:
    """One event of a stream, ended as Google ends them."""
    return b"data: " + payload + b"\r\n\r\n"
