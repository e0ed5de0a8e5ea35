"""Service tiers: how fast, and at what price, a call is served, in the words of those who sell it so. Pure.

(https://platform.openai.com/docs/api-reference/chat/create, `service_tier`; https://docs.anthropic.com/en/api/service-tiers)
"""

OPENAI = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
"""What OpenAI's clients may ask for, and are told."""
_AS_OPENAI = {
    "standard": "default",
    "standard_only": "default",
    "on_demand": "default",
    "unspecified": "auto",
}
"""The usual tier by the names of Anthropic and Google, of Anthropic when asked for, of Groq; what Google's types say
where nothing is said."""
_AS_ANTHROPIC = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}


def openai_tier(word: str | None) -> str | None:
    """A tier in OpenAI's words; None where they have none."""
    if word is None or word in OPENAI:
        return word
    plain = word.lower()
    found = _AS_OPENAI.get(plain, plain)
    return found if found in OPENAI else None


def anthropic_tier(word: str | None) -> str | None:
    """The tier that served a call, as Anthropic's `usage` tells it; None where it cannot."""
    return None if word is None else _AS_ANTHROPIC.get(openai_tier(word) or word.lower())
