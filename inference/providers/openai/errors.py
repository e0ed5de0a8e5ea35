"""Refusals and failures of OpenAI's wire format as ours, the provider's own message kept. Pure."""

import re
from typing import Any, cast

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
from inference.providers.openai.usage import is_null

_NULL = Raw(b"null")
_MESSAGE_LIMIT = 2000
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A code is a word: it ends up in logs and usage records, where no text of anybody's belongs."""
_anything = msgspec.json.Decoder()


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, its own message kept.

    Read by status, never by words. Accepts OpenAI's `{"error": {...}}`, vLLM's `{"error": "..."}`,
    and the `{"message": ...}` and `{"detail": ...}` of others, which may be a list of mistakes.
    """
    message, code, param = _told(body)
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
    if status in (408, 425) or status >= 500:
        ours = {503: 503, 529: 503, 504: 504, 408: 504}.get(status, 502)
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}", retry_after=retry_after, status=ours
        )
    if 400 <= status < 500:
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            code=code,
            param=param,
            status=status if status in (400, 404, 409, 413, 415, 422) else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")


class _ErrorBody(Struct):
    error: Raw = _NULL
    message: Raw = _NULL
    detail: Raw = _NULL


_error_body = msgspec.json.Decoder(_ErrorBody)


def _told(body: bytes) -> tuple[str, str | None, str | None]:
    """Message, code and param, as far as the body has them."""
    try:
        decoded = _error_body.decode(body)
        told: Any = _anything.decode(_first(decoded.error, decoded.message, decoded.detail))
    except (msgspec.DecodeError, RecursionError):
        return "", None, None
    if isinstance(told, str):
        return told[:_MESSAGE_LIMIT], None, None
    if isinstance(told, list):
        told = _mistakes(cast(list[Any], told))
    if not isinstance(told, dict):
        return "", None, None
    said = cast(dict[str, Any], told)
    message, code, param = said.get("message"), said.get("code"), said.get("param")
    return (
        message[:_MESSAGE_LIMIT] if isinstance(message, str) else "",
        code if isinstance(code, str) and _CODE.fullmatch(code) else None,
        param[:200] if isinstance(param, str) else None,
    )


def _mistakes(told: list[Any]) -> dict[str, Any]:
    """The list in which servers made with FastAPI, Mistral's among them, name each mistake and its place."""
    said: list[str] = []
    for each in told:
        if isinstance(each, dict):
            mistake = cast(dict[str, Any], each)
            place = mistake.get("loc")
            where = ".".join(str(step) for step in cast(list[Any], place)) if isinstance(place, list) else ""
            said.append(f"{where}: {mistake.get('msg')}" if where else str(mistake.get("msg")))
    return {"message": "; ".join(said)}


def _first(*values: Raw) -> Raw:
    return next((value for value in values if not is_null(value)), _NULL)
