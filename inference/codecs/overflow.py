"""Overflow: told by a provider's words alone, that a model cannot hold what it is asked to read. Pure.

The one cause for which words are read: clients act on it (they leave out the oldest turns and ask again), and most
providers have no code for it. Each wire format has its own few sentences, as its providers write them, and they count
only in a refusal of a request as it is, never in a failure or a limit of rate.
"""

import re

_STATUSES = (400, 413, 422)

OF_OPENAI = (
    r"maximum context length (?:is|of) \(?[\d,]+",  # OpenAI, Azure, vLLM, DeepSeek, OpenRouter
    r"exceeds (?:the )?model's maximum context length",
    r"exceeds the context window of this model",  # OpenAI's Responses
    r"maximum prompt length is \d+ but the request contains \d+ tokens",  # xAI
    r"reduce the length of the messages or completion",  # Groq, Cerebras
    r"is longer than the model's context length",  # SGLang, Together
    r"longer than the maximum model length of \d+",  # vLLM's engine
    r"context length is only \d+ tokens",  # vLLM
    r"`inputs` tokens \+ `max_new_tokens` must be",  # Hugging Face's TGI, Together
    r"`inputs` must have less than \d+ tokens",
    r"exceeds the available context size",  # llama.cpp
    r"input length exceeds the (?:maximum )?context length",  # Ollama
    r"prompt too long; exceeded (?:max )?context length",
    r"greater than the context length",  # LM Studio
    r"exceeded model token limit",  # Moonshot
    r"does not fit into the model's context window",  # Voyage
)
"""What servers of OpenAI's format say of their own models."""
OF_ANTHROPIC = (
    r"prompt is too long: [\d,]+ tokens",
    r"input length and `?max_tokens`? exceed context limit",
)
OF_GOOGLE = (
    r"input token count(?: \([\d,]+\))? exceeds the maximum number of tokens allowed",
    r"input token count is \d+ but (?:the )?model (?:only )?supports up to \d+",
)
OF_BEDROCK = (
    r"input is too long for requested model",
    r"number of input tokens exceeds maximum length",  # Nova
    r"maximum context length is \d+ tokens",  # Llama
    r"too many input tokens\. max input tokens: \d+",  # Titan's embeddings
)
OF_COHERE = (r"too many tokens: (?:total number of tokens in the prompt cannot exceed|size limit exceeded)",)
OF_MISTRAL = (
    r"too large for model with \d+ maximum context length",
    r"exceeds the model's maximum context length",
)


class Overflow:
    """The sentences of one wire format."""

    def __init__(self, *sentences: str) -> None:
        self._said = re.compile("|".join(sentences), re.IGNORECASE)

    def told(self, status: int, message: str) -> bool:
        """Whether a refusal says it."""
        return status in _STATUSES and self._said.search(message) is not None
