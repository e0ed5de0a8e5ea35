"""Refusals and failures of OpenAI's wire format as ours, the provider's own message kept. Pure."""

import re
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError
from inference.providers.openai.usage import is_null

_NULL = Raw(b"null")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A code is a word: it ends up in logs and usage records, where no text of anybody's belongs."""
_anything = msgspec.json.Decoder()


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, its own message kept.

    Read by status, never by words. Accepts OpenAI's `{"error": {...}}`, vLLM's `{"error": "..."}`,
    and the `{"message": ...}` and `{"detail": ...}` of others, which may be a list of mistakes.
    """
    message, code, param = _told(body)
    return refusal(status, message, code=code, param=param, retry_after=retry_after)


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
        return told, None, None
    if isinstance(told, list):
        told = _mistakes(cast(list[Any], told))
    if not isinstance(told, dict):
        return "", None, None
    said = cast(dict[str, Any], told)
    message, code, param = said.get("message"), said.get("code"), said.get("param")
    return (
        message if isinstance(message, str) else "",
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
