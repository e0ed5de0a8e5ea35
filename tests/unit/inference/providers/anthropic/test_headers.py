"""What clients of Anthropic's say in headers, as fields."""

import json

import pytest

from inference.providers.anthropic.headers import with_betas, with_version

BODY = b'{"max_tokens":1}'


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        (b"", None),
        (b"anthropic-version: 2023-06-01\r\n", None),
        (b"anthropic-beta: x\r\n", None),
        (b"Anthropic-Version: 2026-10-21\r\nanthropic-beta: x\r\n", "2026-10-21"),
    ],
)
def test_a_newer_version_is_said_as_it_is(headers: bytes, version: str | None) -> None:
    assert json.loads(with_version(BODY, headers)).get("anthropic_version") == version


def test_it_goes_before_a_providers_own() -> None:
    body = b'{"anthropic_version":"bedrock-2023-05-31"}'
    newer = with_version(body, b"anthropic-version: 2026-10-21\r\n")
    assert json.loads(newer) == {"anthropic_version": "2026-10-21"}


def test_betas() -> None:
    assert with_betas(BODY, b"anthropic-version: 2023-06-01\r\n") is BODY
    headers = b"anthropic-beta: a,b , \r\nanthropic-beta: c\r\n"
    assert json.loads(with_betas(BODY, headers))["anthropic_beta"] == ["a", "b", "c"]
    assert json.loads(with_betas(b'{"anthropic_beta":["d"]}', headers)) == {"anthropic_beta": ["d"]}
