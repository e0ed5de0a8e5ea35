"""docs/dialects.md and the README are true: their examples run, and every door there is is named."""

import asyncio
import contextlib
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest

from gateway.app import HOT
from inference.catalog.words import Wire
from inference.wire import Extended, LanesByModel
from tests.anthropic_peer import Script, message, model_at, whole
from tests.exchange_world import exchange_world
from tests.harness import ROOT, GatewayProcess, VirtualKey
from tests.media_peers import SOUND
from tests.media_world import media_world
from tests.scripted_peer import Peer
from tests.translation_world import translation_world

pytestmark = pytest.mark.filterwarnings(
    # Google's SDK's own: it derives a class from aiohttp's session
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)
PAGE = (ROOT / "docs" / "dialects.md").read_text()
README = (ROOT / "README.md").read_text()
WORDS = " ".join(f"word{n}" for n in range(5))
HELLO = whole(message([{"type": "text", "text": "Hello from Claude"}]))


def examples(language: str) -> list[Any]:
    """The page's blocks of a language, each named by its heading."""
    found: list[Any] = []
    for section in PAGE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        found += [pytest.param(block, id=heading) for block in blocks]
    return found


EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "Passed through, or translated": [(200, "logit_bias"), (400, "logit_bias")],
    "OpenAI: Chat Completions and Completions": [(WORDS,)],
    "OpenAI: Responses": [("Hello from Claude",)],
    "Anthropic: Messages": [(WORDS,), (int,)],
    "Google: Gemini": [(WORDS,)],
    "Embeddings": [(2,)],
    "Rerank": [(1,)],
    "Moderations": [(True,)],
    "Speech, transcriptions, pictures": [(len(SOUND),), (1,)],
}
"""What each example prints. Its own comments say the same where it has any."""


@pytest.fixture(scope="module")
def names(gateway: GatewayProcess) -> Iterator[dict[str, str]]:
    """The page's names for models, and those of ours that stand for them."""
    with (
        exchange_world(gateway) as exchanges,
        media_world(gateway) as media,
        translation_world(gateway) as translators,
    ):
        yield {
            "my-model": "events-8",
            "my-embedding": "embed",
            "my-rerank": exchanges.cohere_rerank,
            "my-moderation": exchanges.moderation,
            "my-voice": media.name("tts"),
            "my-pictures": media.name("image-tokens"),
            "my-translator": translators.models["deepl"],
        }


def put(text: str, gateway: GatewayProcess, key: VirtualKey, names: dict[str, str]) -> str:
    """An example with the address, the key and the models that there are."""
    text = text.replace("http://127.0.0.1:8080", gateway.url).replace("ask-...", key.text)
    for name, ours in names.items():
        text = text.replace(f'"{name}"', f'"{ours}"')
    return text


@pytest.mark.parametrize("example", examples("python"))
async def test_examples(
    example: str,
    request: pytest.FixtureRequest,
    gateway: GatewayProcess,
    key: VirtualKey,
    names: dict[str, str],
) -> None:
    heading = request.node.callspec.id
    said: list[tuple[Any, ...]] = []
    async with Peer(Script([HELLO] * 3)) as peer:
        text = put(example, gateway, key, {**names, "claude": model_at(gateway, peer.port)})
        await asyncio.to_thread(run, text, said)
    for printed, expected in zip(said, EXPECTED[heading], strict=True):
        for one, wanted in zip(printed, expected, strict=True):
            assert (
                isinstance(one, wanted)
                if isinstance(wanted, type)
                else one == wanted or one.strip() == wanted
            )


def run(text: str, said: list[tuple[Any, ...]]) -> None:
    """Execute an example; what it prints is kept, what it opened is closed."""

    def keep(*given: object) -> None:
        said.append(given)

    space: dict[str, Any] = {"print": keep}
    try:
        exec(compile(text, "docs/dialects.md", "exec"), space)
    finally:
        for value in space.values():
            if isinstance(value, contextlib.AbstractContextManager):
                value.__exit__(None, None, None)


@pytest.mark.parametrize("number", [0, 1])
def test_the_readmes_examples(number: int, gateway: GatewayProcess, key: VirtualKey) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    said: list[tuple[Any, ...]] = []
    # what is printed with options is printed piece by piece
    text = put(blocks[number], gateway, key, {"aspendos-tiny": "events-8"})
    run(text.replace(', end="", flush=True', ""), said)
    assert "".join(str(each) for (each,) in said).strip() == WORDS


def test_the_examples_are_all_expected() -> None:
    assert [param.id for param in examples("python")] == list(EXPECTED)


@pytest.mark.parametrize("command", examples("sh"))
def test_what_is_asked_without_an_sdk(
    command: str, gateway: GatewayProcess, key: VirtualKey, names: dict[str, str]
) -> None:
    """The command's parts, sent as curl would; the answer has the shape that the page shows."""
    words = shlex.split(put(command, gateway, key, names).replace("\\\n", " "))
    assert words[0] == "curl"
    headers = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    body = words[words.index("-d") + 1]
    answer = httpx.post(words[1], content=body, headers=dict(headers))
    assert answer.status_code == 200, answer.text
    (shown,) = (json.loads(put(param.values[0], gateway, key, names)) for param in examples("json"))
    told = answer.json()
    for entry, example in zip(told["data"], shown["data"], strict=True):
        example["text"] = entry["text"]
    assert told == shown


@pytest.mark.parametrize(
    ("client", "route"),
    [
        ("Chat Completions, Completions", "chat"),
        ("Chat Completions, Completions", "completions"),
        ("Responses", "responses"),
        ("Messages", "messages"),
        ("Gemini", "gemini"),
    ],
)
def test_what_passes_through_is_told_as_it_is(client: str, route: str) -> None:
    """By the wire formats' own lanes, those that a row has to open among them."""
    found = re.search(rf"^\| {re.escape(client)} \| (.*?) \|", PAGE, re.MULTILINE)
    assert found is not None
    told = set(re.findall(r"`([a-z-]+)`", found[1])) - {"also"}
    passing: set[str] = set()
    for name in get_args(Wire):
        wire = importlib.import_module(f"inference.providers.{name.replace('-', '_')}").WIRE
        spoken = {*wire.lanes, *(wire.also if isinstance(wire, Extended) else ())}
        if isinstance(wire, LanesByModel):
            spoken |= {*wire.lanes_for("anthropic.claude-x"), *wire.lanes_for("claude-x")}
        if route in spoken:
            passing.add(name)
    assert told == passing


def test_every_door_is_named() -> None:
    assert [path for path in HOT if f"`{path}`" not in PAGE] == []
