"""Tiers of service in others' words."""

import pytest

from inference.codecs.service_tier import anthropic_tier, openai_tier


@pytest.mark.parametrize(
    ("word", "openai", "anthropic"),
    [
        (None, None, None),
        ("default", "default", "standard"),
        ("priority", "priority", "priority"),
        ("PRIORITY", "priority", "priority"),
        ("flex", "flex", None),
        ("standard", "default", "standard"),
        ("standard_only", "default", "standard"),
        ("on_demand", "default", "standard"),
        ("batch", None, "batch"),
        ("reserved", None, None),
    ],
)
def test_in_others_words(word: str | None, openai: str | None, anthropic: str | None) -> None:
    assert openai_tier(word) == openai
    assert anthropic_tier(word) == anthropic
