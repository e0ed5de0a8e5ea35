"""Messages of AWS's event stream, made by hand."""

import struct
from collections.abc import Iterable
from zlib import crc32

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ncontent-length: %d\r\n\r\n"


def message(payload: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """One message; a header's value begins with the byte of its type."""
    written = b"".join(bytes([len(name)]) + name + value for name, value in headers)
    head = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    body = head + struct.pack(">I", crc32(head)) + written + payload
    return body + struct.pack(">I", crc32(body))


def event(kind: str, payload: bytes, sort: str = "event") -> bytes:
    """An `event` or an `exception` as Bedrock sends it."""
    headers = {f":{sort}-type": kind, ":content-type": "application/json", ":message-type": sort}
    return message(payload, [(name.encode(), text(value)) for name, value in headers.items()])


def text(value: str) -> bytes:
    """A header's text, with its type and length."""
    return b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
