"""One-level JSON objects: what we must understand is decoded, everything else is forwarded as received.

Patching a field re-encodes only the outermost object, so unknown fields survive byte for byte and the
cost does not grow with the conversation.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from inference.codecs.surrogates import lone_half
from inference.ir.errors import BadRequest, InvalidField, InvalidJSON

Fields = dict[str, Raw]
_T = TypeVar("_T")

_fields = msgspec.json.Decoder(Fields)
_encode = msgspec.json.Encoder().encode
_BYTE = re.compile(r"\s*\(byte (\d+)\)")
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]+)`")
_AT = re.compile(r"^(?P<what>.*?) - at `\$(?P<path>.*)`$")


def decode_fields(body: bytes) -> Fields:
    """The outermost object's fields, each still raw JSON.

    Raises BadRequest when empty or not an object, InvalidJSON with line and column when malformed.
    """
    return decoded(_fields, body)


def other_fields(body: bytes, known: Collection[str]) -> Fields:
    """The outermost object's fields but for those that are `known`. Raises as `decode_fields` does."""
    return {name: value for name, value in decode_fields(body).items() if name not in known}


def decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """A client's body as the decoder's type. Raises BadRequest, InvalidJSON, or InvalidField with the field's path."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise explain(body, error) from None


def check_text(body: bytes) -> None:
    """Raises InvalidJSON when the body is not UTF-8, which raw fields would carry on unread."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJSON(
            f"The request body is not valid JSON: it is not UTF-8 at byte {error.start}."
        ) from None


def with_salt(body: bytes, field: str, salt: str) -> bytes:
    """An object with one more field, as `put_salt` has it. Raises as `decode_fields` does."""
    fields = decode_fields(body)
    put_salt(fields, field, salt)
    return encode_fields(fields)


def renamed(body: bytes, *, asked: str, model: str, hints: bool) -> bytes:
    """The body with `model` for the name that was asked for, and `aspendos` taken out. Raises as `decode_fields` does.

    Where nothing has to change the bytes are the client's own.
    """
    if asked == model and not hints:
        return body
    fields = decode_fields(body)
    fields.pop("aspendos", None)
    fields["model"] = raw(model)
    return encode_fields(fields)


def put_salt(fields: Fields, field: str, salt: str) -> None:
    """Set a field to a salt. A value of the client's own tells its prompts apart within that salt, never beyond it:
    what is sent is a digest of both, as long as the salt alone."""
    given = bytes(fields.get(field, b"null"))
    if given != b"null":
        salt = hashlib.sha256(salt.encode() + b"\0" + given).hexdigest()[: len(salt)]
    fields[field] = raw(salt)


def encode_fields(fields: Mapping[str, Raw | str | bool]) -> bytes:
    """The object again, raw fields copied through untouched."""
    return _encode(fields)


def raw(value: object) -> Raw:
    """A value of ours as a raw field."""
    return Raw(_encode(value))


def explain(body: bytes, error: msgspec.DecodeError | RecursionError) -> BadRequest:
    """The client's view of a body that could not be decoded: what is wrong, where, and how to mend it."""
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        match = _AT.match(text)
        missing = _MISSING.match(text)
        if missing is not None:
            where = match["path"].removeprefix(".") + "." if match is not None else ""
            param = where + missing["field"]
            return InvalidField(f"Missing required field `{param}`.", param=param, code="missing_field")
        if match is None:
            return InvalidField(f"{_plain(text)}: the request body must be a JSON object.")
        param = match["path"].removeprefix(".")
        return InvalidField(f"Invalid value for `{param}`: {_plain(match['what'])}.", param=param)
    if isinstance(error, RecursionError):
        return InvalidJSON("The request body is not valid JSON: it is nested too deeply.")
    if not body.strip():
        return BadRequest("The request body is empty: send a JSON object.", code="empty_body")
    text = str(error)
    match = _BYTE.search(text)
    reason = _BYTE.sub("", text).removeprefix("JSON is malformed: ")
    position = len(body) if match is None else min(int(match[1]), len(body))
    half = lone_half(body) if "truncated" in text or "surrogate" in text else None
    if half is not None:
        position, escape = half
        reason = f"`{escape}` is half of a surrogate pair, whose other half is missing,"
    line = body.count(b"\n", 0, position) + 1
    column = position - (body.rfind(b"\n", 0, position) + 1) + 1
    return InvalidJSON(
        f"The request body is not valid JSON: {reason} at line {line}, column {column} (byte {position})."
    )


_UNION = re.compile(r"`\w+(?: \| \w+)+`")
_WORDS = {
    "`str`": "a string",
    "`int`": "an integer",
    "`float`": "a number",
    "`bool`": "a boolean",
    "`array`": "an array",
    "`object`": "an object",
    "`null`": "null",
}


def _plain(text: str) -> str:
    """msgspec's type names in JSON's words."""
    text = _UNION.sub(lambda union: union[0].replace(" | ", "` or `"), text)
    for name, words in _WORDS.items():
        text = text.replace(name, words)
    return text.replace("E", "e", 1) if text.startswith("E") else text
