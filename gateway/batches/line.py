"""Lines: what one line of a batch's input asks, and what one line of its results says. Pure.

The forms are OpenAI's (https://platform.openai.com/docs/api-reference/batch/request-input). A line that cannot be
run fails alone: its result says which line it was and why.
"""

import re

import msgspec
from msgspec import Raw, Struct

_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_NUMBER = re.compile(r"batch_req_[0-9A-Za-z]+_(\d+)")
_LONGEST_ID = 512
_SHAPE = '{"custom_id": "…", "method": "POST", "url": "…", "body": {…}}'


class Line(Struct, frozen=True):
    """One request. `body` is the client's own JSON."""

    custom_id: str
    body: bytes


class Fault(Struct, frozen=True):
    """Why a line is not run. `custom_id` None: it has none that could be read."""

    custom_id: str | None
    code: str
    message: str


class _Head(Struct):
    id: str


class _Stream(Struct):
    stream: Raw = Raw(b"false")


_head = msgspec.json.Decoder(_Head).decode
_stream = msgspec.json.Decoder(_Stream).decode


def read_line(raw: bytes, number: int, endpoint: str) -> Line | Fault:
    """The request in a line, which is the `number`th of its file, counted from 1."""
    where = f"Line {number}"
    try:
        fields = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Fault(None, "invalid_json_line", f"{where} is not a JSON object of the form {_SHAPE}.")
    name = _field(fields, "custom_id")
    if not name or len(name) > _LONGEST_ID:
        return Fault(
            None, "invalid_custom_id", f"{where}: `custom_id` must be text of 1 to {_LONGEST_ID} characters."
        )
    if (_field(fields, "method") or "").upper() != "POST":
        return Fault(name, "invalid_method", f"{where}: `method` must be `POST`.")
    if _field(fields, "url") != endpoint:
        return Fault(name, "invalid_url", f"{where}: `url` must be the batch's endpoint, `{endpoint}`.")
    body = bytes(fields.get("body", b""))
    if not body.startswith(b"{"):
        return Fault(name, "invalid_body", f"{where}: `body` must be a JSON object: the request.")
    try:
        streams = bytes(_stream(body).stream)
    except (msgspec.DecodeError, RecursionError):
        return Fault(name, "invalid_body", f"{where}: `body` must be a JSON object: the request.")
    if streams not in (b"false", b"null"):
        return Fault(name, "stream_not_supported", f"{where}: a batch's answers are not streamed.")
    return Line(name, body)


def too_long(number: int, most: int) -> Fault:
    """For a line that is longer than a request may be."""
    return Fault(None, "line_too_long", f"Line {number} is longer than {most} bytes.")


def twice(number: int, name: str) -> Fault:
    """For a line whose id another line before it has."""
    return Fault(name, "duplicate_custom_id", f"Line {number}: a line before it has the same `custom_id`.")


EXPIRED = (
    "batch_expired",
    "This request could not be executed before the completion window expired.",
)
"""OpenAI's code and message of a line that the window left no time for."""


def answered(batch_id: str, number: int, line: Line, *, status: int, request_id: str, body: bytes) -> bytes:
    """A result that is an answer, good or bad, with its line end."""
    response = {"status_code": status, "request_id": request_id, "body": _compact(body)}
    return _result(batch_id, number, line.custom_id, response, None)


def failed(batch_id: str, number: int, custom_id: str | None, code: str, message: str) -> bytes:
    """A result of a line that was not run, with its line end."""
    return _result(batch_id, number, custom_id, None, {"code": code, "message": message, "line": number})


def number_of(result: bytes) -> int | None:
    """Which line a result is of; None for what is none."""
    try:
        match = _NUMBER.fullmatch(_head(result).id)
    except msgspec.DecodeError:
        return None
    return None if match is None else int(match[1])


def _result(batch_id: str, number: int, custom_id: str | None, response: object, error: object) -> bytes:
    name = f"batch_req_{batch_id.removeprefix('batch_')}_{number}"
    return _encode({"id": name, "custom_id": custom_id, "response": response, "error": error}) + b"\n"


def _compact(body: bytes) -> Raw | str:
    """An answer on one line, otherwise as it came; as text where it is no JSON."""
    try:
        return Raw(msgspec.json.format(body, indent=-1))
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")


def _field(fields: dict[str, Raw], name: str) -> str | None:
    try:
        return _text(fields[name])
    except (KeyError, msgspec.DecodeError):
        return None
