"""The application as it is put together: what must not start does not."""

import json
from pathlib import Path

import pytest
from litestar import Controller, get

from gateway.app import build_app
from gateway.http.auth import UnguardedRoute
from gateway.settings import load_settings
from gateway.wiring import Gateway
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
