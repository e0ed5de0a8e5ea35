"""The `llm` command-line tool, a process of its own, pointed at the gateway: streamed, with a tool, continued."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer
from tests.weather_peers import ANSWER, GOODBYE, PEERS, QUESTION, RESULT, THANKS, WeatherPeer

TOOL = f"""
def get_weather(city: str) -> str:
    "The weather in a city."
    return city + ": {RESULT}"
"""


class CommandLine:
    """`llm` with a folder of its own, in which one model is configured as its documentation says."""

    def __init__(self, folder: Path, gateway: GatewayProcess, key: VirtualKey, model: str) -> None:
        entry = {
            "model_id": "through-the-gateway",
            "model_name": model,
            "api_base": gateway.base_url,
            "api_key_name": "gateway",
            "supports_tools": True,
        }
        folder.mkdir(exist_ok=True)
        (folder / "extra-openai-models.yaml").write_text(json.dumps([entry]))  # JSON is YAML
        (folder / "keys.json").write_text(json.dumps({"gateway": key.text}))
        self._environment = {**os.environ, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": ""}

    async def ask(self, *arguments: str) -> str:
        """What it printed. Raises AssertionError, with what it complained of, where it failed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "llm", *arguments),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complained = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, complained.decode()
        return printed.decode()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.wire)
async def test_a_conversation_with_a_tool(
    gateway: GatewayProcess, key: VirtualKey, tmp_path: Path, peer: WeatherPeer
) -> None:
    script = peer.script()
    async with Peer(script) as running:
        model = peer.model_at(gateway, running.port)
        line = CommandLine(tmp_path / "llm", gateway, key, model)
        first = await line.ask("-m", "through-the-gateway", "--functions", TOOL, QUESTION)
        assert first.strip().endswith(ANSWER)
        assert "Let me look." in first
        again = await line.ask("-c", "--functions", TOOL, THANKS)
        assert again.strip() == GOODBYE
    assert peer.results(script.body(1)) == [f"Paris: {RESULT}"]
    assert len(script.asked) == 3
    assert peer.results(script.body(2)) == [f"Paris: {RESULT}"], "it remembers"
    records = gateway.usage(key=key.id)
    assert {(record.status, record.stream) for record in records} == {(200, True)}
