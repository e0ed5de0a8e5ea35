"""What a legacy completion asks of a model."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_completions import Completions


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, []),
        ({"logprobs": None}, []),
        ({"logprobs": 0}, ["logprobs"]),
        ({"logprobs": 3}, ["logprobs"]),
        ({"response_format": {"type": "json_schema"}}, ["json_schema"]),
    ],
)
def test_what_it_needs(body: dict[str, Any], expected: list[str]) -> None:
    given = json.dumps({"model": "m", "prompt": "hi", **body}).encode()
    assert [need.capability for need in Completions().needs(given)] == expected
