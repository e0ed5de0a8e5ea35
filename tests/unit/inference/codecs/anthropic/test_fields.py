"""Mistakes told in Anthropic's way: the path first, its numbers between dots."""

import pytest

from inference.codecs.anthropic.fields import DottedFields
from inference.ir.errors import InvalidField


def test_paths_and_messages() -> None:
    messages = DottedFields.of(b'{"messages":[{"role":"user"},{"role":7}]}').inners("messages")
    assert type(messages[1]) is DottedFields
    with pytest.raises(
        InvalidField, match=r"^messages\.1\.role: expected a string, got an integer$"
    ) as wrong:
        messages[1].needed("role")
    assert wrong.value.param == "messages.1.role"
    with pytest.raises(InvalidField, match=r"^messages\.0\.content: this field is required$") as lacking:
        messages[0].needed("content")
    assert (lacking.value.param, lacking.value.code) == ("messages.0.content", "missing_field")
