"""The application as it is put together: what must not start does not."""

import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Controller, get
from structlog.testing import capture_logs

from gateway.app import build_app
from gateway.database.pepper import PepperMismatch
from gateway.http.auth import UnguardedRoute
from gateway.settings import load_settings
from gateway.wiring import Gateway
from tests.control_plane import Plane
from tests.harness import catalogue


class Careless(Controller):
    """A route of the management API that forgot to say who may use it."""

    path = "/admin/v1/careless"

    @get("/")
    async def careless(self) -> None: ...


async def test_a_management_route_without_a_permission_keeps_the_gateway_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "models.yaml"
    config.write_text(json.dumps(catalogue("http://127.0.0.1:9/v1")))
    environ = {"ASPENDOS_CONFIG": str(config), "ASPENDOS_DATA_DIR": str(tmp_path / "data")}
    settings = load_settings(environ)
    gateway = Gateway(settings, environ, print)
    try:
        build_app(settings, gateway)
        monkeypatch.setattr("gateway.app.TierController", Careless)
        with pytest.raises(UnguardedRoute, match="careless"):
            build_app(settings, gateway)
    finally:
        await gateway.stop()


async def test_a_start_that_fails_is_in_the_log_when_the_process_ends(
    tmp_path: Path, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway with another pepper than its database's, and what its log holds when it gives up."""
    await plane.issue()
    config = tmp_path / "models.yaml"
    config.write_text(json.dumps(catalogue("http://127.0.0.1:9/v1")))
    environ = {"ASPENDOS_CONFIG": str(config), "ASPENDOS_DATA_DIR": str(tmp_path / "data")}
    settings = load_settings(environ)
    gateway = Gateway(settings, environ, print)
    monkeypatch.setattr(gateway.keyring, "_database", plane.database)
    written: list[list[str]] = []
    with capture_logs() as lines:
        app = build_app(
            settings, gateway, last=lambda: written.append([str(line.get("reason")) for line in lines])
        )
        messages = iter([{"type": "lifespan.startup"}])
        sent: list[str] = []

        async def receive() -> dict[str, str]:
            return next(messages)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])

        with contextlib.suppress(PepperMismatch, StopIteration, RuntimeError, ExceptionGroup):
            await cast("Any", app)({"type": "lifespan", "app": None, "state": {}}, receive, send)
    await gateway.stop()
    assert "lifespan.startup.complete" not in sent
    assert any("does not belong to this database" in text for text in written[0])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[AsyncClient]:
    config = tmp_path / "models.yaml"
    config.write_text(json.dumps(catalogue("http://127.0.0.1:9/v1")))
    environ = {"ASPENDOS_CONFIG": str(config), "ASPENDOS_DATA_DIR": str(tmp_path / "data")}
    settings = load_settings(environ)
    gateway = Gateway(settings, environ, print)
    transport = ASGITransport(cast("Any", build_app(settings, gateway)))
    async with AsyncClient(transport=transport, base_url="http://gateway") as opened:
        yield opened
    await gateway.stop()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v1/models", "/metrics", "/schema"])
async def test_head_is_get_without_a_body(client: AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert head.status_code == whole.status_code != 405
    assert whole.content and not head.content
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_a_method_that_is_not_taken_is_told_which_are(client: AsyncClient) -> None:
    for method in ("POST", "TRACE"):
        answer = await client.request(method, "/health/live")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    for method in ("GET", "HEAD", "TRACE"):
        answer = await client.request(method, "/auth/login")
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert "does not take GET: it takes" in (await client.get("/auth/login")).text
    trace = await client.request("TRACE", "/v1/chat/completions")
    assert (trace.status_code, trace.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/schema/swagger", "/schema/redoc", "/nowhere"])
async def test_what_is_not_there_is_said_in_json(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json()["error"]["message"].startswith(f"There is nothing at {path}.")


async def test_the_schema_does_not_describe_itself(client: AsyncClient) -> None:
    paths = (await client.get("/schema")).json()["paths"]
    assert "/health/live" in paths
    assert not [path for path in paths if path.startswith("/schema")]
