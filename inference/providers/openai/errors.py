"""Refusals and failures of OpenAI's wire format as ours, the provider's own message kept. Pure."""

import re
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.causes import Cause, cause_of, status_of
from inference.codecs.overflow import OF_ANTHROPIC, OF_BEDROCK, OF_GOOGLE, OF_MISTRAL, OF_OPENAI, Overflow
from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError
from inference.providers.openai.usage import is_null

_NULL = Raw(b"null")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A code is a word: it ends up in logs and usage records, where no text of anybody's belongs."""
_anything = msgspec.json.Decoder()
_OVERFLOW = Overflow(*OF_OPENAI, *OF_ANTHROPIC, *OF_GOOGLE, *OF_BEDROCK, *OF_MISTRAL)
"""Servers of this format that sell everybody's models repeat what those say."""


def read_error(
    status: int,
    retry_after: float | None,
    body: bytes,
    *,
    missing: Cause | None = None,
    overflow: Overflow = _OVERFLOW,
) -> AspendosError:
    """An upstream's refusal as one of ours, its own message kept.

    Read by status and codes, and by the sentences of `overflow`. Accepts OpenAI's `{"error": {...}}`, vLLM's
    `{"error": "..."}`, Mistral's `{"object": "error", "message": ...}`, and the `{"message": ...}` and
    `{"detail": ...}` of others, which may be a list of mistakes. `missing` is what it means to such a server that
    something is not found, where it does not say.
    """
    told = _told(body)
    cause = Cause.POLICY if status == 403 and told.flagged else None
    if cause is None and status == 404 and cause_of(0, told.code, told.kind) is None:
        cause = Cause.MODEL if told.param == "model" else missing
    return refusal(
        status,
        told.message,
        code=told.code,
        kind=told.kind,
        param=told.param,
        retry_after=retry_after,
        cause=cause,
        overflow=overflow,
    )


def stream_status(body: bytes) -> int | None:
    """What status an error told inside a stream would have had, None where it does not tell."""
    told = _told(body)
    return next((each for each in told.numbers if 400 <= each <= 599), None) or status_of(
        told.code, told.kind
    )


class _Told(Struct):
    """What an error says. `flagged`: a filter kept the request back; `numbers` may be a status."""

    message: str = ""
    code: str | None = None
    kind: str | None = None
    param: str | None = None
    flagged: bool = False
    numbers: tuple[int, ...] = ()


class _ErrorBody(Struct):
    error: Raw = _NULL
    message: Raw = _NULL
    detail: Raw = _NULL
    code: Raw = _NULL
    type: Raw = _NULL
    error_type: Raw = _NULL
    param: Raw = _NULL


_error_body = msgspec.json.Decoder(_ErrorBody)
_NUMBERS = ("status", "status_code", "http_status_code", "code")


def _told(body: bytes) -> _Told:
    """As far as the body has it: in the error itself, else beside it."""
    try:
        decoded = _error_body.decode(body)
        told: Any = _anything.decode(_first(decoded.error, decoded.message, decoded.detail))
        beside: Any = {
            "code": _anything.decode(decoded.code),
            "type": _anything.decode(_first(decoded.type, decoded.error_type)),
            "param": _anything.decode(decoded.param),
        }
    except (msgspec.DecodeError, RecursionError):
        return _Told()
    if isinstance(told, str):
        told = {"message": told}
    if isinstance(told, list):
        told = _mistakes(cast(list[Any], told))
    if not isinstance(told, dict):
        return _Told()
    said = beside | {name: value for name, value in cast(dict[str, Any], told).items() if value is not None}
    message, detail, more = said.get("message"), said.get("detail"), said.get("metadata")
    if not isinstance(message, str) and isinstance(detail, list):
        message = _mistakes(cast(list[Any], detail))["message"]
    param = said.get("param")
    return _Told(
        message=message if isinstance(message, str) else "",
        code=_word(said.get("code")),
        kind=_word(said.get("type")),
        param=param[:200] if isinstance(param, str) else None,
        flagged=isinstance(more, dict) and "flagged_input" in more,
        numbers=tuple(number for name in _NUMBERS if (number := _number(said.get(name))) is not None),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
