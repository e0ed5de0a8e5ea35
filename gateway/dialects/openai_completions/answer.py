"""A whole answer as a legacy completion: its text, and nothing else it may hold. Pure.

(https://platform.openai.com/docs/api-reference/completions/object)
"""

from typing import Any

import msgspec

from gateway.dialects.dialect import Rendered, Setting
from gateway.dialects.openai_chat.words import reason_of, usage_words
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion
from inference.ir.content import Refusal, Text
from inference.ir.usage import UsageSource

_encode = msgspec.json.Encoder().encode


def answer(completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
    """The answer, and the names of what could not be said in it."""
    dropped: list[str] = []
    said: dict[str, Any] = {
        "id": f"cmpl-{setting.id}",
        "object": "text_completion",
        "created": setting.created,
        "model": setting.model,
        "choices": [_choice(each, dropped) for each in completion.choices],
    }
    if completion.usage.source is not UsageSource.NONE:
        said["usage"] = usage_words(completion.usage)
    dropped.extend(completion.rest)
    return Rendered(_encode(said), tuple(dict.fromkeys(dropped)))


def _choice(choice: Choice, dropped: list[str]) -> dict[str, Any]:
    path = f"choices[{choice.index}]"
    texts: list[str] = []
    for part in choice.parts:
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
        else:
            dropped.append(f"{path}.{type(part).__name__.lower()}")
    if choice.logprobs is not None:
        dropped.append(f"{path}.logprobs")
    dropped.extend(f"{path}.{name}" for name in choice.rest)
    finish = choice.finish
    return {
        "index": choice.index,
        "text": "".join(texts),
        "logprobs": None,
        "finish_reason": None if finish is None else reason_of(finish, functions=False),
    }
