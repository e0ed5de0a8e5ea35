"""Input items as they are kept and shown: every one an object with a type and an id; and turns put together. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.codecs.surrogates import without_halves

_list = msgspec.json.Decoder(list[Raw]).decode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "cto",
    "reasoning": "rs",
}


class _Output(msgspec.Struct):
    output: list[Raw] = []


_output = msgspec.json.Decoder(_Output).decode


def given_items(given: bytes) -> list[Raw]:
    """The items of a request's raw `input`, which may be text."""
    if given.startswith(b'"'):
        return [Raw(b'{"type":"message","role":"user","content":' + given + b"}")]
    return _list(given) if given.startswith(b"[") else []


def said_items(response: bytes) -> list[Raw]:
    """The output items of a response."""
    return _output(response).output


def named_items(given: bytes, response_id: str) -> list[Raw]:
    """The items of an input, each as the API shows it: typed, named and with its content as parts."""
    base = response_id.removeprefix("resp_")
    return [_named(item, base, n) for n, item in enumerate(given_items(given))]


def _named(item: Raw, base: str, number: int) -> Raw:
    try:
        fields = _fields(item)
        kind = msgspec.json.decode(fields["type"], type=str) if "type" in fields else "message"
    except msgspec.DecodeError:
        return item  # whoever answered it knew what it was
    fields["type"] = raw(kind)
    if bytes(fields.get("id", b"null")) == b"null":
        fields["id"] = raw(f"{_PREFIXES.get(kind, 'item')}_{base}i{number:02x}")
    if kind == "message":
        fields.setdefault("status", raw("completed"))
        content = bytes(fields.get("content", b"[]"))
        if content.startswith(b'"'):
            own = bytes(fields.get("role", b"")) == b'"assistant"'
            head = b'{"type":"output_text","annotations":[],' if own else b'{"type":"input_text",'
            fields["content"] = Raw(b"[" + head + b'"text":' + content + b"}]")
    return Raw(encode_fields(fields))


def id_of(item: Raw) -> str:
    """The id of an item that has one."""
    try:
        return msgspec.json.decode(_fields(item).get("id", Raw(b'""')), type=str)
    except msgspec.DecodeError:
        return ""


def joined(items: Sequence[Raw]) -> bytes:
    """A list of items as JSON."""
    return b"[" + b",".join(bytes(item) for item in items) + b"]"


def continued(body: bytes, history: Sequence[Raw]) -> bytes:
    """A request with what came before put before its input, and nothing left of where that was found."""
    fields = decode_fields(body)
    fields.pop("previous_response_id", None)
    fields["input"] = Raw(joined([*history, *given_items(bytes(fields.get("input", b"[]")))]))
    return encode_fields(fields)


def stamped(response: bytes, *, name: str, previous: str | None, kept: bool) -> bytes:
    """A response object under the gateway's own id, and with what is so about it here."""
    fields = _fields(without_halves(response))
    fields["id"] = raw(name)
    fields["previous_response_id"] = raw(previous)
    fields["store"] = raw(kept)
    return _encode(fields)
