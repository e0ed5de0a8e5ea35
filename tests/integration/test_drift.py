"""A gateway that watches its workers' counters: agreement, then usage behind its back, then the alarm; and by hand."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx
import pytest

from tests.harness import GatewayProcess, VirtualKey


class Worker(ThreadingHTTPServer):
    """As much of a vLLM server as counting takes: chat completions with usage, and /metrics."""

    prompt = generation = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        labels = '{engine="0",model_name="m"}'
        text = (
            f"vllm:prompt_tokens_total{labels} {self._worker.prompt}.0\n"
            f"vllm:prompt_tokens_created{labels} 1.5e+09\n"
            f"vllm:generation_tokens_total{labels} {self._worker.generation}.0\n"
            f"vllm:num_requests_running{labels} 0.0\nvllm:num_requests_waiting{labels} 0.0\n"
        )
        self._answer("text/plain; version=0.0.4", text.encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._worker.prompt += 2000
        self._worker.generation += 300
        usage = {"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
        body: dict[str, Any] = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}
        self._answer("application/json", json.dumps(body).encode())

    @property
    def _worker(self) -> Worker:
        return cast(Worker, self.server)

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    server = Worker(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="worker")
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="module")
def watching(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    root = f"http://127.0.0.1:{worker.server_address[1]}"
    catalogue: dict[str, Any] = {
        "version": 1,
        "providers": {"fleet": {"wire": "vllm", "workers": {"static": [root]}}},
        "models": {"m": {"kind": "chat", "free": True, "targets": [{"provider": "fleet", "model": "m"}]}},
    }
    folder = tmp_path_factory.mktemp("drift")
    with GatewayProcess(folder, catalogue, environment={"ASPENDOS_DRIFT_EVERY": "0.3"}) as running:
        yield running


def ask(gateway: GatewayProcess, key: VirtualKey) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    answer = gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
    assert answer.status_code == 200, answer.text


def verdict(gateway: GatewayProcess) -> dict[str, Any]:
    answer = gateway.admin.get(f"{gateway.url}/admin/v1/reconciliation")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_usage_behind_the_gateways_back_is_an_alarm(watching: GatewayProcess, worker: Worker) -> None:
    key = watching.new_key()
    watching.wait_until(lambda: bool(verdict(watching)["providers"]), seconds=15)
    for _ in range(3):
        ask(watching, key)
    time.sleep(2)
    # Whatever the looks cut it into, every comparison agreed.
    assert "usage drift" not in watching.log_path.read_text()
    assert verdict(watching)["alarm"] is False
    worker.generation += 50_000
    watching.wait_until(lambda: "usage drift" in watching.log_path.read_text(), seconds=15)
    lines = [line for line in watching.log_lines() if line["event"] == "usage drift"]
    assert lines[0]["output_drift"] == -50_000
    assert lines[0]["level"] == "error"


def test_by_hand_over_http(watching: GatewayProcess, worker: Worker) -> None:
    url = f"http://127.0.0.1:{worker.server_address[1]}/metrics"
    before, start = httpx.get(url).text, int(time.time())
    key = watching.new_key()
    ask(watching, key)
    after = httpx.get(url).text
    body: dict[str, Any] = {
        "provider": "fleet",
        "start": str(start - 1),
        "end": str(int(time.time()) + 2),
        "workers": [{"before": before, "after": after}],
        "thresholds": {"share_bp": 0, "tokens": 0},
    }
    watching.record(key)
    # Requests of this second are in: those of the test before were over two seconds ago.
    answer = watching.admin.post(f"{watching.url}/admin/v1/reconciliation/counters", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["comparison"]["total"]["ours"]["input_tokens"] == 2000
    assert answer.json()["alarm"] is False
    today = time.strftime("%Y-%m-%d", time.gmtime())
    export = f"date,model,input_tokens,output_tokens\n{today},m,999999,1\n"
    export_body = {"provider": "fleet", "export": export}
    found = watching.admin.post(f"{watching.url}/admin/v1/reconciliation/export", json=export_body)
    assert found.status_code == 200, found.text
    assert found.json()["alarm"] is True
    bad = watching.admin.post(
        f"{watching.url}/admin/v1/reconciliation/export", json={**export_body, "export": "a,b\n1,2\n"}
    )
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "export")
    assert watching.http.get(f"{watching.url}/admin/v1/reconciliation").status_code == 401


def test_alarms_are_counted(watching: GatewayProcess, worker: Worker) -> None:
    def alarms() -> float:
        return watching.metric("aspendos_usage_drift_alarms_total", provider="fleet")

    before = alarms()
    worker.prompt += 70_000
    watching.wait_until(lambda: alarms() == before + 1, seconds=15)
    assert "aspendos_usage_drift_tokens" in watching.admin.get(f"{watching.url}/metrics").text
