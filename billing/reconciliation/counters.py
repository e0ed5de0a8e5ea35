"""Counters: the tokens a vLLM server says it has processed, from two looks at its /metrics. Pure.

`vllm:prompt_tokens_total` and `vllm:generation_tokens_total` only grow while a server lives. It counts whatever
anybody asked of it, requests that were broken off included, as it goes along; so two looks bound a span of time
exactly only where nothing was running at either (`vllm:num_requests_running`, `vllm:num_requests_waiting`).
(https://docs.vllm.ai/en/latest/design/metrics.html; text format: https://prometheus.io/docs/instrumenting/exposition_formats)
"""

import re

from msgspec import Struct

from billing.reconciliation.compare import Counted, Tally
from inference.ir.errors import InvalidField

_LINE = re.compile(
    r"^vllm:(?P<name>[a-z_]+)\{(?P<labels>[^}]*)\} (?P<value>[0-9.eE+-]+|NaN|\+Inf)(?: [0-9]+)?$",
    re.MULTILINE,
)
_LABEL = re.compile(r'(?P<name>[a-z_]+)="(?P<value>(?:[^"\\]|\\.)*)"')
_PROMPT, _GENERATION = "prompt_tokens_total", "generation_tokens_total"
_BORN = "prompt_tokens_created"
_BUSY = frozenset({"num_requests_running", "num_requests_waiting"})
_EXACT = 2**53


class Look(Struct, frozen=True, kw_only=True):
    """One look at one server: tokens processed so far by model name, when the counting began, who was running."""

    prompt: dict[str, int]
    generation: dict[str, int]
    born: dict[str, float]
    busy: int


class Processed(Struct, frozen=True, kw_only=True):
    """What was processed between two looks. `restarted`: the server began anew in between, and what it had
    counted since the first look is lost. `busy` requests were under way at the looks, so the span has soft ends."""

    counted: tuple[Counted, ...]
    busy: int
    restarted: bool


def read_counters(text: str) -> Look:
    """A server's counters. Raises InvalidField for text that has none of them."""
    prompt: dict[str, int] = {}
    generation: dict[str, int] = {}
    born: dict[str, float] = {}
    busy = 0
    for match in _LINE.finditer(text):
        name = match["name"]
        model = _model(match["labels"])
        # Engines of one server each count for themselves.
        if name == _PROMPT:
            prompt[model] = prompt.get(model, 0) + _whole(match["value"])
        elif name == _GENERATION:
            generation[model] = generation.get(model, 0) + _whole(match["value"])
        elif name == _BORN:
            born[model] = min(born.get(model, float("inf")), float(match["value"]))
        elif name in _BUSY:
            busy += _whole(match["value"])
    if not prompt and not generation:
        raise InvalidField(
            "These metrics hold no vllm:prompt_tokens_total: they are no vLLM server's, or its statistics are off "
            "(--disable-log-stats).",
            param="metrics",
        )
    return Look(prompt=prompt, generation=generation, born=born, busy=busy)


def between(before: Look, after: Look) -> Processed:
    """What a server processed from one look to the next."""
    restarted = any(
        after.prompt.get(model, 0) < count
        or after.generation.get(model, 0) < before.generation.get(model, 0)
        or after.born.get(model) != before.born.get(model)
        for model, count in before.prompt.items()
    )
    counted: list[Counted] = []
    for model in sorted(after.prompt.keys() | after.generation.keys()):
        base = (0, 0) if restarted else (before.prompt.get(model, 0), before.generation.get(model, 0))
        tally = Tally(
            input_tokens=after.prompt.get(model, 0) - base[0],
            output_tokens=after.generation.get(model, 0) - base[1],
        )
        counted.append(Counted(model=model, tally=tally))
    return Processed(counted=tuple(counted), busy=before.busy + after.busy, restarted=restarted)


def _model(labels: str) -> str:
    for match in _LABEL.finditer(labels):
        if match["name"] == "model_name":
            return match["value"].replace('\\"', '"').replace("\\\\", "\\")
    return ""


def _whole(text: str) -> int:
    value = float(text)
    if not 0 <= value <= _EXACT:
        raise InvalidField(f"A counter of these metrics is {text}, which counts nothing.", param="metrics")
    return int(value)
