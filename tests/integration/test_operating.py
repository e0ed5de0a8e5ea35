"""Running it: shutting down without cutting answers, reloading without dropping them, several processes as one."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from policies.api_keys import new_key
from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey, catalogue


@pytest.fixture(scope="module")
def provider() -> Iterator[UpstreamThread]:
    with UpstreamThread(key=UPSTREAM_KEY) as running:
        yield running


@pytest.fixture
def own(provider: UpstreamThread, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway this test may stop."""
    with GatewayProcess(tmp_path, catalogue(provider.base_url)) as running:
        yield running


class Stream:
    """A streamed chat read on a thread, so that something can be done to the gateway meanwhile."""

    def __init__(self, gateway: GatewayProcess, key: VirtualKey, model: str) -> None:
        self.text = ""
        self.error: Exception | None = None
        self.began = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(gateway.base_url, key, model))
        self._thread.start()
        assert self.began.wait(10)

    def _read(self, base_url: str, key: VirtualKey, model: str) -> None:
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        try:
            with httpx.stream(
                "POST", f"{base_url}/chat/completions", json=body, headers=key.bearer
            ) as answer:
                for piece in answer.iter_text():
                    self.text += piece
                    self.began.set()
        except httpx.HTTPError as error:
            self.error = error

    def wait(self) -> str:
        """The whole text, once it is over."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self.error is None
        return self.text


def chat(gateway: GatewayProcess, key: VirtualKey, model: str = "events-8") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)


def until(what: str, condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_running_answer_is_finished_before_the_process_ends(own: GatewayProcess) -> None:
    key = own.new_key()
    stream = Stream(own, key, "events-20+paced-20ms")
    assert own.stop() == 0
    text = stream.wait()
    assert "word16" in text
    assert text.endswith("data: [DONE]\n\n")
    own.start()
    assert own.record(key).status == 200


def test_a_drain_has_a_deadline_and_says_so(provider: UpstreamThread, tmp_path: Path) -> None:
    environment = {"ASPENDOS_DRAIN_TIMEOUT": "1"}
    with GatewayProcess(tmp_path, catalogue(provider.base_url), environment=environment) as own:
        key = own.new_key()
        stream = Stream(own, key, "events-200+paced-20ms")
        own.stop()
        text = stream.wait()
        assert '"code":"shutting_down"' in text
        own.start()
        record = own.record(key)
        assert (record.status, record.error) == (503, "shutting_down")
        assert record.output_tokens > 0


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")])
def test_before_it_drains_it_is_not_ready_and_serves(
    provider: UpstreamThread, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    environment = {"ASPENDOS_DRAIN_DELAY": "2"}
    with GatewayProcess(
        tmp_path, catalogue(provider.base_url), arguments=arguments, environment=environment
    ) as own:
        key = own.new_key()
        until("every process knows it", lambda: {chat(own, key).status_code for _ in range(8)} == {200})
        os.kill(own.pid, signal.SIGTERM)
        until("it is not ready", lambda: httpx.get(f"{own.url}/health/ready").status_code == 503)
        told = httpx.get(f"{own.url}/health/ready").json()
        assert (told["status"], told["dependencies"]["process"]) == ("unavailable", "shutting down")
        assert httpx.get(f"{own.url}/health/live").status_code == 200
        assert chat(own, key).status_code == 200
        assert own.stop() == 0  # a second SIGTERM, in the same breath or not: it ends


def reloads(own: GatewayProcess) -> list[dict[str, Any]]:
    """What the audit log has of them, newest first."""
    answer = own.admin.get(f"{own.url}/admin/v1/audit", params={"action": "config.reload"})
    return answer.json()["data"]


def test_sighup_reloads_and_drops_nothing(own: GatewayProcess) -> None:
    key = own.new_key()
    stream = Stream(own, key, "events-20+paced-20ms")
    models = json.loads(own.config_path.read_text())
    models["models"]["brand-new"] = models["models"]["events-8"]
    del models["models"]["events-20+paced-20ms"]
    own.config_path.write_text(json.dumps(models))
    os.kill(own.pid, signal.SIGHUP)
    until("the new model never appeared", lambda: chat(own, key, "brand-new").status_code == 200)
    assert chat(own, key, "events-20+paced-20ms").status_code == 404
    assert len(reloads(own)) == 1
    del models["models"]["brand-new"]
    own.config_path.write_text(json.dumps(models))
    answer = own.admin.post(f"{own.url}/admin/v1/config/reload")
    asked, signalled = reloads(own)
    assert (signalled["actor"], asked["actor"]) == ("signal SIGHUP", "admin key")
    assert asked["before"] == signalled["after"] != signalled["before"]
    assert asked["after"] == {"version": answer.json()["version"]}
    assert asked["request_id"] == answer.headers["x-request-id"]
    assert stream.wait().endswith("data: [DONE]\n\n")


def test_a_bad_file_is_refused_with_its_mistakes_and_the_old_one_stays(own: GatewayProcess) -> None:
    key = own.new_key()
    good = own.config_path.read_text()
    own.config_path.write_text(good.replace('"wire": "vllm"', '"wire": "vlm"'))
    refused = own.admin.post(f"{own.url}/admin/v1/config/reload")
    assert refused.status_code == 422
    problem = refused.json()["error"]["message"]
    assert refused.json()["error"]["code"] == "config_invalid"
    assert refused.headers["x-request-id"]
    assert str(own.config_path) in problem
    assert "wire" in problem
    assert "vllm" in problem
    assert chat(own, key).status_code == 200
    assert own.metric("aspendos_config_reloads_total", result="failed") == 1
    ready = httpx.get(f"{own.url}/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    os.kill(own.pid, signal.SIGHUP)
    until("SIGHUP was not heard", lambda: own.metric("aspendos_config_reloads_total", result="failed") == 2)
    own.config_path.write_text(good)
    assert own.admin.post(f"{own.url}/admin/v1/config/reload").status_code == 200
    assert httpx.get(f"{own.url}/health/ready").json()["status"] == "ok"


def reloaded(own: GatewayProcess, result: str) -> float:
    return own.metric("aspendos_config_reloads_total", result=result)


def test_several_processes_are_one_gateway(provider: UpstreamThread, tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path, catalogue(provider.base_url), arguments=("--workers", "2")) as own,
        ThreadPoolExecutor(12) as pool,
    ):
        key, other = own.new_key(), own.new_key()

        def every_process(model: str, status: int) -> bool:
            """Each is asked: new connections that come at one time go to any of them."""
            asked = [pool.submit(chat, own, other, model) for _ in range(12)]
            answers = [each.result() for each in asked]
            names = {answer.headers["x-request-id"][:-8] for answer in answers}
            return len(names) == 2 and {answer.status_code for answer in answers} == {status}

        until("not every process knows a key", lambda: every_process("free", 200))
        answers = [chat(own, key) for _ in range(20)]  # each on a new connection
        assert [answer.status_code for answer in answers] == [200] * 20
        until("figures of all", lambda: own.metric("aspendos_requests_total", model="events-8") == 20)
        assert len(own.usage(key=key.id)) == 20
        own.configure(models={"brand-new": json.loads(own.config_path.read_text())["models"]["events-8"]})
        until("not every process knows a model", lambda: every_process("brand-new", 200))
        counted = {"ok": 1.0, "failed": 0.0}
        assert {result: reloaded(own, result) for result in counted} == counted
        good = own.config_path.read_text()
        renamed = good.replace('"brand-new"', '"newer-still"')
        for text, result in ((renamed, "ok"), ("nonsense: 1", "failed")):
            own.config_path.write_text(text)
            before = len(own.log_path.read_text().split('"event":"catalogue'))
            os.kill(own.pid, signal.SIGHUP)
            until(
                "a process has not heard the signal",
                lambda before=before: len(own.log_path.read_text().split('"event":"catalogue')) >= before + 2,
            )
            counted[result] += 1
            assert {result: reloaded(own, result) for result in counted} == counted
        own.config_path.write_text(good)
        disabled = own.admin.patch(f"{own.url}/admin/v1/keys/{other.id}", json={"disabled": True})
        assert disabled.status_code == 200
        until("not every process forgets a key", lambda: every_process("free", 401))
        assert own.stop() == 0


def test_liveness_needs_nothing_and_readiness_names_its_dependencies(own: GatewayProcess) -> None:
    assert httpx.get(f"{own.url}/health/live").json() == {"status": "ok"}
    ready = httpx.get(f"{own.url}/health/ready").json()
    assert set(ready["dependencies"]) == {"database", "keys", "provider_keys", "journal", "catalogue"}


def serve_fails(folder: Path, *arguments: str, **environment: str) -> str:
    """What `aspendos serve` says when it cannot start."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "ASPENDOS_DATA_DIR": str(folder / "data"), **environment},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_prevents_a_start_is_said_plainly(own: GatewayProcess, tmp_path: Path) -> None:
    good = str(own.config_path)
    assert "cannot listen on 127.0.0.1" in serve_fails(
        tmp_path, "--port", str(own.port), ASPENDOS_CONFIG=good
    )
    missing = serve_fails(tmp_path, "--port", "0", ASPENDOS_CONFIG=str(tmp_path / "nothing.yaml"))
    assert "nothing.yaml" in missing
    said = serve_fails(tmp_path, ASPENDOS_PORT="many", ASPENDOS_WROKERS="2", ASPENDOS_CONFIG=good)
    assert "ASPENDOS_PORT" in said
    assert "ASPENDOS_WROKERS" in said


def test_a_database_away_from_the_start_delays_keys_not_the_process(
    provider: UpstreamThread, tmp_path: Path
) -> None:
    environment = {"ASPENDOS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with GatewayProcess(tmp_path, catalogue(provider.base_url), environment=environment) as own:
        ready = httpx.get(f"{own.url}/health/ready")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert ready.json()["dependencies"]["database"].startswith("away")
        stranger = VirtualKey(text=new_key(secrets.token_bytes).token, id="", team="")
        refused = chat(own, stranger)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "key_store_unavailable"
        assert "retry-after" in refused.headers


def test_the_log_ends_with_the_end(own: GatewayProcess) -> None:
    key = own.new_key()
    stream = Stream(own, key, "events-20+paced-20ms")
    assert own.stop() == 0
    stream.wait()
    lines = [json.loads(line) for line in own.log_path.read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert any(line["event"] == "request" and line["model"] == "events-20+paced-20ms" for line in lines)


def test_a_data_directory_that_cannot_be_written_is_said_plainly(own: GatewayProcess, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    said = serve_fails(blocked, "--port", "0", ASPENDOS_CONFIG=str(own.config_path))
    assert "cannot be written to" in said
    assert "ASPENDOS_DATA_DIR" in said
