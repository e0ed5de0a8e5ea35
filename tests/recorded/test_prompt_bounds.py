"""The bound on a prompt's tokens, held against what providers really counted. Skips without the recordings."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw, Struct

from gateway.dialects.openai_chat import Chat
from inference.codecs.token_estimate import estimate_input
from policies.ceiling import Ask, prompt_bound

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
PROVIDERS = (
    "openai",
    "azure-openai",
    "groq",
    "openrouter",
    "deepseek",
    "together",
    "mistral",
    "zai",
    "huggingface",
)
NULL = Raw(b"null")


class Recording(Struct):
    url: str
    status: int
    stream: bool = False
    request: Raw = NULL
    response: Raw = NULL
    response_text: str | None = None


class Reported(Struct):
    prompt_tokens: int | None = None


class Answer(Struct):
    usage: Reported | None = None


class Asked(Struct):
    messages: Raw = NULL


def counted(call: Recording) -> int | None:
    """The prompt's tokens, as the provider reported them."""
    texts = [bytes(call.response)] if call.response != NULL else []
    if call.stream:
        lines = (call.response_text or "").splitlines()
        texts += [line[6:].encode() for line in lines if line.startswith("data: {")]
    found = [msgspec.json.decode(text, type=Answer).usage for text in texts]
    tokens = [usage.prompt_tokens for usage in found if usage is not None and usage.prompt_tokens]
    return tokens[-1] if tokens else None


def calls() -> Iterator[tuple[Recording, int]]:
    for provider in PROVIDERS:
        file = RECORDED / f"{provider}.jsonl"
        if not file.exists():
            pytest.skip("the recorded provider traffic is not beside the project")
        for line in file.read_bytes().splitlines():
            call = msgspec.json.decode(line, type=Recording)
            if "chat/completions" not in call.url or call.status != 200 or call.request == NULL:
                continue
            if msgspec.json.decode(call.request, type=Asked).messages != NULL and (tokens := counted(call)):
                yield call, tokens


def test_no_prompt_was_counted_above_its_bound_but_where_providers_added_to_it() -> None:
    above = total = 0
    for call, tokens in calls():
        request = Chat().decode(msgspec.json.format(bytes(call.request), indent=-1))
        ask = Ask(prompt=estimate_input(request.prompt), pictures=request.pictures)
        total += 1
        above += tokens > prompt_bound(ask)
    assert total > 700
    assert above <= 3, f"{above} of {total}"
