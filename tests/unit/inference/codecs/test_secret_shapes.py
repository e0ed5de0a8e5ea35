"""What of an error's words is a secret, and what only looks a little like one."""

import pytest

from inference.codecs.secret_shapes import without_secrets


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("Incorrect API key provided: sk-proj-abcdefghij0123456789.", "Incorrect API key provided: ***."),
        ("sk-ant-api03-0123456789abcdef-XYZ", "***"),
        ("key gsk_0123456789abcdefghijKLMN here", "key *** here"),
        ("hf_abcdefghijklmnopqrstuvwx", "***"),
        ("xai-0123456789abcdefghijklmnop", "***"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("ask-fvWUW1lXOVz3-9xIrdsMqQoCUdWb4kISGWmX4V7T", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-1", "***"),
        ("Authorization: Bearer abcdef0123456789abcdef==", "Authorization: Bearer ***"),
        ("at https://user:pass@host/x", "at https://***@host/x"),
        (r"at https:\/\/user:pass@host\/x", r"at https:\/\/***@host\/x"),
        ("GET /v1?key=abc123&alt=sse", "GET /v1?key=***&alt=sse"),
    ],
)
def test_secrets_are_hidden(words: str, left: str) -> None:
    assert without_secrets(words.encode()).decode() == left


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-proj-****wxyz. You can find your API key at https://platform.openai.com.",
        "This model's maximum context length is 8192 tokens.",
        "Bearer authentication required by the server",
        "Invalid value: 'tool_choice'. See https://host:8080/docs?page=2&alt=sse",
        "task-force-members-of-1999",
        "The id call_0123456789abcdefghijklmnop is unknown; chatcmpl-0123456789abcdefghijkl; req_0123456789abcdef",
        "fc_68a0123456789abcdef0123456789 and file-abcdefghijklmnopqrstuvwx were not found",
    ],
)
def test_everything_else_is_left(words: str) -> None:
    assert without_secrets(words.encode()).decode() == words
