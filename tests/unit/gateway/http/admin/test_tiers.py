"""/admin/v1/tiers as a client sees it: the plans in force, and at once those of a changed file."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from litestar.di import Provide

from gateway.catalogue import LiveCatalogue
from gateway.http.admin.tiers import TierController
from gateway.http.auth import permissions
from gateway.http.errors import render_error
from gateway.metrics import Metrics
from inference.ir.errors import AspendosError
from policies.roles import Permission

FILE = """\
version: 1
providers:
  p: {wire: openai, base_url: "http://h/v1"}
models:
  m: {kind: chat, free: true, targets: [{provider: p, model: x}]}
  n: {kind: chat, free: true, targets: [{provider: p, model: y}]}
tiers:
  free:
    models: [m]
    requests: {minute: 20}
    features: {images: false, chat: {per_user: {parallel: 1}}}
    model_limits: {"m*": {tokens: {day: 9}}}
    credits_per_month: 50
    price: {USD: 9.99, JPY: 1200}
    when_empty: {model: m}
  pro: {priority: 3}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "models.yaml"
    file.write_text(FILE)
    return file


@pytest.fixture
def live(path: Path) -> LiveCatalogue:
    return LiveCatalogue(path, {}, Metrics())


def _answer(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
    status, _headers, body = render_error(error, None)
    return Response(body, status_code=status, media_type="application/json")


@pytest.fixture
async def client(live: LiveCatalogue) -> AsyncGenerator[AsyncClient]:
    app = Litestar(
        [TierController],
        dependencies={"catalogue": Provide(lambda: live, sync_to_thread=False)},
        exception_handlers={AspendosError: _answer},
        logging_config=None,
    )
    assert set(permissions(app).values()) == {Permission.MODELS_READ}
    transport = ASGITransport(app)  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_every_tier_in_the_files_order(client: AsyncClient) -> None:
    free, pro = (await client.get("/admin/v1/tiers")).json()
    assert (free["name"], pro["name"]) == ("free", "pro")
    assert free["limits"] == {"requests": {"minute": 20}}
    assert (free["globs"], free["models"], free["every_model"]) == (["m"], ["m"], False)
    assert (pro["globs"], pro["models"], pro["every_model"]) == ([], ["m", "n"], True)
    assert free["price"] == {"USD": "9.99", "JPY": "1200"}
    assert (free["credits_per_month"], free["when_empty"], pro["priority"]) == (50, {"model": "m"}, 3)
    features = {feature["feature"]: feature for feature in free["features"]}
    assert not features["images"]["included"]
    assert features["chat"] == {
        "feature": "chat",
        "included": True,
        "limits": {},
        "per_user": {"parallel": 1},
    }
    assert free["model_limits"] == [
        {"glob": "m*", "models": ["m"], "limits": {"tokens": {"day": 9}}, "per_user": {}}
    ]


async def test_one_tier_and_none(client: AsyncClient) -> None:
    assert (await client.get("/admin/v1/tiers/pro")).json()["name"] == "pro"
    missing = await client.get("/admin/v1/tiers/gold")
    assert missing.status_code == 404
    assert "There is no tier 'gold'; the catalogue has free, pro." in missing.text


async def test_a_reload_applies_at_once(client: AsyncClient, live: LiveCatalogue, path: Path) -> None:
    path.write_text(FILE.replace("minute: 20", "minute: 21").replace("  pro:", "  ultra:"))
    live.reload()
    free, ultra = (await client.get("/admin/v1/tiers")).json()
    assert (free["limits"], ultra["name"]) == ({"requests": {"minute": 21}}, "ultra")
