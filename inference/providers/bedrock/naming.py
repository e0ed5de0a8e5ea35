"""Naming: where a model of Bedrock's is, and whose it is. Pure.

A model is named by its id, by an inference profile (`eu.` before the id) or by an ARN. An application's own profile
and a model that was tuned or imported do not tell who made it.
(https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-use.html)
"""

import re
from enum import StrEnum
from urllib.parse import quote


class Maker(StrEnum):
    """Who made a model, as far as requests or answers differ by it. `hidden`: its name does not say."""

    CLAUDE = "claude"
    NOVA = "nova"
    NOVA_2 = "nova-2"
    GPT_OSS = "gpt-oss"
    QWEN = "qwen"
    OTHER = "other"
    HIDDEN = "hidden"


_MARKS = (
    ("anthropic.claude", Maker.CLAUDE),
    ("amazon.nova-2", Maker.NOVA_2),
    ("amazon.nova", Maker.NOVA),
    ("openai.gpt-oss", Maker.GPT_OSS),
    ("qwen.", Maker.QWEN),
)
_NAMED = (":foundation-model/", ":inference-profile/")
_CLAUDE = re.compile(r"(?:[a-z-]{2,8}\.)?(anthropic\.claude-.+)")
_UNCOUNTED = re.compile(r"anthropic\.claude-(?:v\d|instant|3-(?:haiku|sonnet|opus)-)")
"""Older ones than CountTokens is."""


def maker(model: str) -> Maker:
    """By the model's name at Bedrock."""
    for mark, found in _MARKS:
        if mark in model:
            return found
    return (
        Maker.HIDDEN
        if model.startswith("arn:") and not any(mark in model for mark in _NAMED)
        else Maker.OTHER
    )


def counted_as(model: str) -> str | None:
    """The name by which CountTokens knows a model of Anthropic's; it takes no profile. None: it does not know it.

    (https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html)
    """
    if model.startswith("arn:") and any(mark in model for mark in _NAMED):
        model = model.rpartition("/")[2]
    found = _CLAUDE.fullmatch(model)
    return None if found is None or _UNCOUNTED.match(found[1]) else found[1]


def place(model: str, action: str) -> str:
    """The path of one of a model's actions, the name encoded: it may hold `:` and `/`."""
    return f"/model/{quote(model, safe='')}/{action}"


def address(region: str) -> str:
    """The base URL of a region of AWS."""
    end = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{end}"
