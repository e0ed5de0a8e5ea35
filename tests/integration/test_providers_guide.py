"""docs/providers.md is true: its file, its rows and its tests are taken from the page and run.

The page's new file is put beside the others in a tree of links, so that a gateway finds it where a contributor would
have put it.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.harness import ROOT, GatewayProcess, UpstreamThread, VirtualKey

GUIDE = (ROOT / "docs" / "providers.md").read_text()
KEY = "parrot-key-1"
QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}


def example(path: str) -> str:
    """The block of the page that stands under the name of a file."""
    found = re.search(rf"^`{re.escape(path)}`:\n\n```\w+\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the guide has no block named {path}"
    return found[1]


def row() -> dict[str, Any]:
    """The first YAML of the page: a provider that speaks OpenAI's format."""
    found = re.search(r"^```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project by links, with the page's file and its test in their places."""
    top = tmp_path_factory.mktemp("guide")
    added = ("inference/providers/parrot.py", "tests/unit/inference/providers/test_parrot.py")
    for name in ("gateway", "billing", "policies", "config"):
        (top / name).symlink_to(ROOT / name)
    for folder in ("inference", "inference/providers"):
        (top / folder).mkdir()
        for each in (ROOT / folder).iterdir():
            if each.name not in ("providers", "__pycache__"):
                (top / folder / each.name).symlink_to(each)
    for name in added:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(example(name))
    return top


@contextmanager
def parrot() -> Generator[tuple[str, list[dict[str, Any]]]]:
    """Parrot, as the page describes it: its address, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append({"path": self.path, **body})
            words = {"heard": 3, "said": 2}
            if self.headers["x-parrot-key"] != KEY:
                self._say(401, "application/json", {"wrong": "no such key"})
            elif body.get("longest") == 1:
                self._say(400, "application/json", {"wrong": "too short"})
            elif body["live"]:
                lines = ({"says": "Hello, "}, {"says": "hello"}, {"because": "end", "words": words})
                self._say(200, "application/x-ndjson", *lines)
            else:
                answer = {"says": "Hello, hello", "because": "end", "words": words}
                self._say(200, "application/json", answer)

        def _say(self, status: int, kind: str, *lines: object) -> None:
            told = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="parrot")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def guided(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, VirtualKey, list[dict[str, Any]]]]:
    """A gateway out of that tree, with both providers of the page, at servers of ours."""
    with UpstreamThread(key="acme-key-1") as upstream, parrot() as (address, asked):
        catalogue: dict[str, Any] = {"version": 1, "providers": {}, "models": {}}
        for part in (row(), yaml.safe_load(example("config/models.yaml"))):
            for name, entries in part.items():
                catalogue[name] |= entries
        catalogue["providers"]["acme"]["base_url"] = upstream.base_url
        catalogue["providers"]["parrot"]["base_url"] = address
        environment = {
            "PYTHONPATH": str(tree),
            "PYTHONSAFEPATH": "1",
            "ACME_API_KEY": "acme-key-1",
            "PARROT_API_KEY": KEY,
        }
        folder = tmp_path_factory.mktemp("guided")
        with GatewayProcess(folder, yaml.safe_dump(catalogue), environment=environment) as process:
            yield process, process.new_key(), asked


Guided = tuple[GatewayProcess, VirtualKey, list[dict[str, Any]]]


def ask(guided: Guided, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    process, key, _ = guided
    return process.http.post(f"{process.url}{path}", json=body, headers={**key.bearer, **headers})


def test_the_row_for_a_provider_of_openais_format(guided: Guided) -> None:
    for stream in (False, True):
        body = {"model": "acme-large", "messages": QUESTION["messages"], "stream": stream}
        answer = ask(guided, "/v1/chat/completions", body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-aspendos-provider"] == "acme"


def test_the_file_in_every_dialect(guided: Guided) -> None:
    chat = ask(guided, "/v1/chat/completions", {"model": "parrot-grey", **QUESTION})
    assert chat.status_code == 200, chat.text
    assert chat.json()["choices"][0]["message"]["content"] == "Hello, hello"
    assert chat.json()["usage"]["total_tokens"] == 5
    assert chat.headers["x-aspendos-dropped"] == "temperature"
    assert chat.headers["x-aspendos-cost"] == "0.0000108"
    assert guided[2][-1] == {"path": "/speak/grey", "lines": [{"who": "user", "says": "hi"}], "live": False}
    messages = ask(guided, "/v1/messages", {"model": "parrot-grey", **QUESTION, "max_tokens": 50})
    assert messages.json()["content"][0]["text"] == "Hello, hello"
    assert guided[2][-1]["longest"] == 50
    responses = ask(guided, "/v1/responses", {"model": "parrot-grey", "input": "hi"})
    assert responses.json()["output"][0]["content"][0]["text"] == "Hello, hello"
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    gemini = ask(guided, "/v1beta/models/parrot-grey:generateContent", contents)
    assert gemini.json()["candidates"][0]["content"]["parts"][0]["text"] == "Hello, hello"


def test_the_file_streamed_and_refusing(guided: Guided) -> None:
    body: dict[str, Any] = {"model": "parrot-grey", **QUESTION}
    streamed = ask(guided, "/v1/chat/completions", {**body, "stream": True}).text
    events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    said = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    assert "".join(said) == "Hello, hello"
    assert guided[2][-1]["live"] is True
    refused = ask(guided, "/v1/chat/completions", {**body, "max_tokens": 1})
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "too short")
    strict = ask(guided, "/v1/chat/completions", body, **{"x-aspendos-strict": "1"})
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "temperature")


def test_the_tests_of_the_page(tree: Path) -> None:
    """They pass, with the file as the page has it; and fail with a parser that forgets what was cut off."""
    file, test = "inference/providers/parrot.py", "tests/unit/inference/providers/test_parrot.py"
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tree), test]
    whole = example(file)
    for text, status in ((whole, 0), (whole.replace("(self._rest + chunk)", "chunk"), 1)):
        (tree / file).write_text(text)
        done = subprocess.run(
            command, check=False, cwd=tree, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == status, done.stdout


def test_the_page_is_held_to_the_rules_of_the_house(tree: Path) -> None:
    """As `make check` would hold a contributor to them."""
    files = [tree / "inference/providers/parrot.py", tree / "tests/unit/inference/providers/test_parrot.py"]
    for number, path in enumerate(files):
        path.write_text(example(str(path.relative_to(tree))))
        arguments = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(path)]
        for command in (["check"], ["format", "--check"]):
            ruff = [sys.executable, "-m", "ruff", *command, *arguments]
            done = subprocess.run(ruff, check=False, cwd=tree, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (number, done.stdout + done.stderr)
