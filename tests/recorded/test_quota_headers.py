"""Limits and patience as real providers tell them: of every recorded header of this kind, what is made of it."""

from datetime import datetime

import pytest

from inference.codecs.quota_headers import read_quota, read_retry_after
from inference.ir.quota import Quota
from tests.recorded.calls import calls

NOW = 1_766_103_600.0
TELLING = ("openai", "azure-openai", "groq", "mistral", "anthropic", "together")
SILENT = ("bedrock", "cerebras", "cohere", "deepseek", "gemini", "openrouter", "vertex", "voyage", "zai")
_OTHER = ("abusepenalty", "input-images", "query-cost")
"""Named like limits, and none of ours."""


def told(headers: dict[str, str]) -> Quota | None:
    """As if it were told a minute before the first of its resets, where those are times."""
    times = [value for name, value in named(headers).items() if name.endswith("-reset") and "T" in value]
    now = datetime.fromisoformat(min(times)).timestamp() - 60 if times else NOW
    return read_quota([(name.lower().encode(), value.encode()) for name, value in headers.items()], now)


def named(headers: dict[str, str]) -> dict[str, str]:
    """The headers that tell of limits, in lower case."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if "ratelimit-" in name.lower() and not any(word in name.lower() for word in _OTHER)
    }


@pytest.mark.parametrize("provider", TELLING)
def test_every_limit_that_was_told_is_read(provider: str) -> None:
    seen = 0
    for call in calls(provider):
        lines = named(call.headers)
        quota = told(call.headers)
        if not lines:
            assert quota is None, call.label
            continue
        seen += 1
        assert quota is not None, call.label
        whole = " ".join(lines)
        for unit, limit in (
            ("input-tokens", quota.input_tokens),
            ("output-tokens", quota.output_tokens),
            ("req", quota.requests),
        ):
            assert (limit is not None) == (unit in whole or (unit == "req" and "x-ratelimit-limit" in lines))
            if limit is not None:
                assert limit.limit is None or str(limit.limit) in lines.values(), call.label
                assert str(limit.remaining) in lines.values(), call.label
        resets = [name for name in lines if "-reset" in name]
        every = (quota.requests, quota.tokens, quota.input_tokens, quota.output_tokens)
        assert sum(limit is not None and limit.reset is not None for limit in every) == len(resets), (
            call.label
        )
    assert seen > 0


@pytest.mark.parametrize("provider", SILENT)
def test_who_tells_nothing_is_not_misread(provider: str) -> None:
    assert all(told(call.headers) is None for call in calls(provider) if not named(call.headers))


def test_a_window_that_refills_steadily_is_full_again_as_azure_says() -> None:
    """What is missing, over what comes in a minute: so their bare numbers are milliseconds."""
    seen = 0
    for call in calls("azure-openai"):
        quota = told(call.headers)
        for limit in (quota.requests, quota.tokens) if quota is not None else ():
            if limit is not None and limit.reset is not None:
                if limit.limit is None or limit.remaining is None:
                    continue
                missing = (limit.limit - limit.remaining) / limit.limit * 60
                assert limit.reset == pytest.approx(missing, abs=0.6)
                seen += 1
    assert seen > 0


@pytest.mark.parametrize("provider", ["anthropic", "huggingface", "together"])
def test_every_wait_is_read(provider: str) -> None:
    seen = 0
    for call in calls(provider):
        given = {name.lower(): value for name, value in call.headers.items()}.get("retry-after")
        if given is not None:
            assert read_retry_after([(b"retry-after", given.encode())], NOW) == float(given)
            seen += 1
    assert seen > 0
