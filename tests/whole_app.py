"""The application as `serve` puts it together, with nothing started: for tests of what its routes say of themselves."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from gateway.app import build_app
from gateway.settings import load_settings
from gateway.wiring import Gateway
from tests.harness import catalogue


@asynccontextmanager
async def whole_app(folder: Path) -> AsyncGenerator[Litestar]:
    """Everything on, in a folder of its own."""
    config = folder / "models.yaml"
    config.write_text(json.dumps(catalogue("http://127.0.0.1:9/v1")))
    environ = {"ASPENDOS_CONFIG": str(config), "ASPENDOS_DATA_DIR": str(folder / "data")}
    settings = load_settings(environ)
    gateway = Gateway(settings, environ, print)
    try:
        yield litestar_of(build_app(settings, gateway))
    finally:
        await gateway.stop()


def litestar_of(app: object) -> Litestar:
    """The part of the application that serves what is not hot."""
    found = app
    while not isinstance(found, Litestar):
        found = getattr(found, "app", None)
        assert found is not None, type(app)
    return found
