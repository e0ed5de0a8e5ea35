"""What an answer in OpenAI's chat dialect and its stream have in common: reasons, usage, pictures. Pure."""

from typing import Any

from inference.codecs.data_url import written_url
from inference.ir.completion import Finish
from inference.ir.content import Image
from inference.ir.usage import Usage

_REASONS = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.FILTER: "content_filter",
    Finish.REFUSAL: "content_filter",
    Finish.CONTEXT: "length",
    Finish.PAUSE: "stop",
    Finish.ERROR: "content_filter",
    Finish.OTHER: "stop",
}
"""OpenAI's SDKs know five words; who asks for more finds the provider's own in no field of theirs."""


def reason_of(finish: Finish, *, functions: bool) -> str:
    """`functions`: the client speaks of its tools in the older way."""
    if functions and finish is Finish.TOOL_CALLS:
        return "function_call"
    return _REASONS[finish]


def usage_words(usage: Usage) -> dict[str, Any]:
    """Usage as OpenAI reports it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        },
    }


def image_words(image: Image, index: int) -> dict[str, Any] | None:
    """A picture the model made, as OpenRouter writes it; None for one that is only known by an id.

    (https://openrouter.ai/docs/features/multimodal/image-generation)
    """
    url = written_url(image.source)
    return {"type": "image_url", "image_url": {"url": url}, "index": index} if url else None


def google(signature: str) -> dict[str, Any]:
    """Where Google's OpenAI-compatible server has its signatures, and takes them back.

    (https://ai.google.dev/gemini-api/docs/thought-signatures, OpenAI compatibility)
    """
    return {"google": {"thought_signature": signature}}
