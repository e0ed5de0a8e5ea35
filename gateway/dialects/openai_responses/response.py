"""The response object: what the request said, repeated, and what became of it. Pure."""

from collections.abc import Sequence

from gateway.dialects.dialect import Setting
from inference.codecs.responses.parts import OWN
from inference.codecs.responses.words import INSTRUCTIONS, write_choice, write_format, write_tool
from inference.ir.chat import ChatRequest, Tool
from inference.ir.completion import Finish
from inference.ir.content import Text
from inference.ir.errors import AspendosError
from inference.ir.usage import NO_USAGE, Usage, UsageSource

INCOMPLETE = {
    Finish.LENGTH: "max_output_tokens",
    Finish.CONTEXT: "max_output_tokens",
    Finish.FILTER: "content_filter",
    Finish.REFUSAL: "content_filter",
    Finish.ERROR: "content_filter",
}
"""Reasons to stop that leave a response incomplete, and the format's words for them."""


def base_of(setting: Setting) -> str:
    """What the ids of a response and of everything in it are made of."""
    return setting.id.removeprefix("req-").replace("-", "")


def response_id(setting: Setting) -> str:
    return f"resp_{base_of(setting)}"


class Echo:
    """The object's fields that do not change while an answer is written, made once."""

    def __init__(self, asked: ChatRequest, setting: Setting) -> None:
        self._head: dict[str, object] = {
            "id": response_id(setting),
            "object": "response",
            "created_at": setting.created,
        }
        self._fields = _said(asked, setting)

    def object(
        self,
        status: str,
        *,
        output: Sequence[object] = (),
        usage: Usage = NO_USAGE,
        finish: Finish | None = None,
        tier: str | None = None,
        error: AspendosError | None = None,
    ) -> dict[str, object]:
        """The response as it stands. `finish` says why it is incomplete, where it is."""
        reason = None if finish is None else INCOMPLETE.get(finish)
        return {
            **self._head,
            "status": status,
            "error": None if error is None else {"code": _code(error), "message": error.message},
            "incomplete_details": None if reason is None else {"reason": reason},
            **self._fields,
            "output": output,
            "service_tier": tier or self._fields["service_tier"],
            "usage": None if usage.source is UsageSource.NONE else _usage(usage),
        }


def _said(asked: ChatRequest, setting: Setting) -> dict[str, object]:
    thinking, form, rest = asked.thinking, asked.format, asked.rest
    first = asked.messages[0] if asked.messages else None
    instructions = None
    if first is not None and first.id == INSTRUCTIONS:
        instructions = "".join(part.text for part in first.parts if isinstance(part, Text))
    choice = None if asked.tool_choice is None else write_choice(asked.tool_choice, asked.tools)
    return {
        "background": False,
        "instructions": instructions,
        "max_output_tokens": asked.max_output,
        "max_tool_calls": rest.get("max_tool_calls"),
        "model": setting.model,
        "parallel_tool_calls": asked.parallel_tools is not False,
        "previous_response_id": None,
        "prompt_cache_key": asked.cache_key,
        "reasoning": {
            "effort": thinking.effort if thinking is not None else None,
            "summary": thinking.summary if thinking is not None else None,
        },
        "safety_identifier": rest.get("safety_identifier"),
        "service_tier": asked.service_tier or "default",
        "store": True,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": {
            "format": {"type": "text"} if form is None else write_format(form),
            "verbosity": asked.verbosity or "medium",
        },
        "tool_choice": choice or "auto",
        "tools": [_tool(tool) for tool in asked.tools],
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": rest.get("truncation", "disabled"),
        "user": asked.user,
        "metadata": asked.metadata or {},
    }


def _tool(tool: Tool) -> object:
    written = write_tool(tool, OWN)
    if isinstance(written, dict) and written["type"] == "function":
        return {"description": None, "parameters": None, "strict": tool.strict is not False, **written}
    return written


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _code(error: AspendosError) -> str:
    """One of the few codes that the format has for a response that failed."""
    return "rate_limit_exceeded" if error.http_status == 429 else "server_error"
