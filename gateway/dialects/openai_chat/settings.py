"""Settings: the fields of a chat request that are one value each, as OpenAI's clients write them. Pure.

(https://platform.openai.com/docs/api-reference/chat/create)
"""

from typing import TypedDict

import msgspec
from msgspec import Struct

from gateway.dialects.hints import least
from inference.codecs.body import explain


class Settings(Struct):
    """Decoded together: one by one they would cost as much as all the messages."""

    parallel_tool_calls: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    verbosity: str | None = None
    user: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None


class Settled(TypedDict):
    """The same as a ChatRequest has them."""

    parallel_tools: bool | None
    max_output: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    seed: int | None
    stop: tuple[str, ...]
    answers: int | None
    logprobs: bool | None
    top_logprobs: int | None
    logit_bias: dict[str, float] | None
    modalities: tuple[str, ...]
    verbosity: str | None
    user: str | None
    service_tier: str | None
    cache_key: str | None
    stream: bool


NAMES = Settings.__struct_fields__
_settings = msgspec.json.Decoder(Settings)


def read_settings(body: bytes) -> Settings:
    """Raises InvalidField with the field's path, or InvalidJSON."""
    try:
        return _settings.decode(body)
    except msgspec.DecodeError as error:
        raise explain(body, error) from None


def settled(said: Settings) -> Settled:
    """In neutral words."""
    return {
        "parallel_tools": said.parallel_tool_calls,
        "max_output": least(said.max_completion_tokens, said.max_tokens),
        "temperature": said.temperature,
        "top_p": said.top_p,
        "top_k": said.top_k,
        "frequency_penalty": said.frequency_penalty,
        "presence_penalty": said.presence_penalty,
        "seed": said.seed,
        "stop": (said.stop,) if isinstance(said.stop, str) else tuple(said.stop or ()),
        "answers": said.n,
        "logprobs": said.logprobs,
        "top_logprobs": said.top_logprobs,
        "logit_bias": said.logit_bias,
        "modalities": tuple(said.modalities or ()),
        "verbosity": said.verbosity,
        "user": said.user,
        "service_tier": said.service_tier,
        "cache_key": said.prompt_cache_key,
        "stream": bool(said.stream),
    }
