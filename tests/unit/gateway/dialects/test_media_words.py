"""Whether a conversation may show something, told from its bytes."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Dialect
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.gemini import Gemini
from gateway.dialects.gemini.count import GeminiCount
from gateway.dialects.media_words import shows
from gateway.dialects.moderations import Moderations
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.count import InputTokens
from gateway.dialects.rerank import Rerank
from gateway.http.count_tokens import CountTokens

A = "http://a.example/x"
PARTS: list[tuple[Dialect, list[dict[str, Any]], str]] = [
    (
        Chat(),
        [
            {"type": "image_url", "image_url": {"url": A}},
            {"type": "audio_url", "audio_url": {"url": A}},
            {"type": "video_url", "video_url": {"url": A}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"file_data": A}},
            {"type": "input_image", "image_url": A},
        ],
        "messages",
    ),
    (
        Responses(),
        [
            {"type": "input_image", "image_url": A},
            {"type": "input_file", "file_url": A},
            {"type": "input_file", "file_data": A},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ],
        "input",
    ),
    (InputTokens(), [{"type": "input_image", "image_url": A}], "input"),
    (
        Messages(),
        [
            {"type": "image", "source": {"type": "url", "url": A}},
            {"type": "document", "source": {"data": "AAAA"}},
        ],
        "messages",
    ),
    (CountTokens(), [{"type": "image", "source": {"type": "url", "url": A}}], "messages"),
    (
        Gemini("m", stream=False),
        [
            {"fileData": {"fileUri": A}},
            {"file_data": {"file_uri": A}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
        ],
        "contents",
    ),
    (GeminiCount("m"), [{"fileData": {"fileUri": A}}], "contents"),
    (Embeddings(), [{"type": "image_url", "image_url": {"url": A}}], "input"),
    (Rerank(), [{"type": "image_url", "image_url": {"url": A}}], "documents"),
    (Moderations(), [{"type": "image_url", "image_url": {"url": A}}], "input"),
]
EVERY = [pytest.param(dialect, part, name) for dialect, parts, name in PARTS for part in parts]


def body(name: str, part: object) -> bytes:
    inner = "parts" if name == "contents" else "content"
    asked = {"model": "m", "max_tokens": 1, "query": "q", name: [{"role": "user", inner: [part]}]}
    return json.dumps(asked).encode()


def escaped(said: bytes) -> bytes:
    """Every small letter of a field's name as an escape."""
    out, quoted = bytearray(), said.split(b'"')
    for n, piece in enumerate(quoted):
        media = n % 2 and piece.endswith((b"url", b"ata", b"source", b"audio", b"image", b"file"))
        out += b"".join(b"\\u%04x" % byte for byte in piece) if media else piece
        out += b'"' if n + 1 < len(quoted) else b""
    return bytes(out)


@pytest.mark.parametrize(("dialect", "part", "name"), EVERY)
def test_everything_that_is_shown_is_noticed(dialect: Dialect, part: dict[str, Any], name: str) -> None:
    given = body(name, part)
    assert dialect.decode(given).shows
    hidden = escaped(given)
    assert json.loads(hidden) == json.loads(given)
    assert hidden != given
    assert dialect.decode(hidden).shows


@pytest.mark.parametrize(
    ("dialect", "name"),
    [pytest.param(dialect, name, id=type(dialect).__name__) for dialect, _, name in PARTS],
)
@pytest.mark.parametrize(
    "text", ["Look at image_url: http://a.example", 'a "file_url" <b> é \\ud83d', "\x1b\n"]
)
def test_text_shows_nothing(dialect: Dialect, name: str, text: str) -> None:
    part = {"text": text} if name == "contents" else {"type": "text", "text": text}
    assert not dialect.decode(body(name, part)).shows


def test_escapes_of_what_is_no_letter_show_nothing() -> None:
    assert not shows(rb'[{"content":"a \u003cb\u003e \u0026 \u00e9 \u2019 \u001b"}]')
