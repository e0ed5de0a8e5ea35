"""GET /v1/account: what the holder of a key sees of it."""

from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.testing import AsyncTestClient

from gateway.balances import Balances
from gateway.catalogue import LiveCatalogue
from gateway.http.account import AccountController
from gateway.http.errors import render_error
from gateway.metrics import Metrics
from inference.ir.errors import AspendosError, MissingKey
from inference.ir.tiers import Limits, Rates
from policies.api_keys import Principal
from policies.stores.memory import MemoryStore
from policies.stores.step import Cold

FILE = """\
version: 1
providers:
  p: {wire: openai, base_url: "http://h/v1"}
models:
  m: {kind: chat, free: true, targets: [{provider: p, model: x}]}
tiers:
  free: {requests: {minute: 20}, credits_per_month: 50}
"""
PLAIN = Principal(key_id="k" * 12, key_name="mine", team_id="team_a", team_name="red")
WHOLE = Principal(
    key_id="k" * 12,
    key_name="mine",
    team_id="team_a",
    team_name="red",
    org_id="org_o",
    org_name="acme",
    user_id="user_u",
    user_name="Ada",
    models=("gpt-*",),
    tier="free",
    tier_holder="team_a",
    account="acct_team_a",
    limits=(("key", "k" * 12, Limits(requests=Rates(minute=5))), ("org", "org_o", Limits(parallel=9))),
    features=("chat",),
    tags={"project": "atlas"},
)


class Door:
    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    async def principal(self, authorization: bytes | None) -> Principal:
        if authorization != b"Bearer ask-x":
            raise MissingKey("No API key was sent.")
        return self._principal


def answer(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
    status, _headers, body = render_error(error, None)
    return Response(body, status_code=status, media_type="application/json")


def given(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


async def seen(principal: Principal, folder: Path, **headers: str) -> tuple[int, Any]:
    path = folder / "models.yaml"
    path.write_text(FILE)
    live = LiveCatalogue(path, {}, Metrics())
    store = MemoryStore(lambda: 0.0)

    async def warm(cold: Cold) -> None:
        for account in cold.accounts:
            await store.load(account, 123_456_789, epoch=await store.epoch(account))

    provided = {"admission": Door(principal), "catalogue": live, "balances": Balances(store, warm)}
    app = Litestar(
        [AccountController],
        dependencies={name: given(value) for name, value in provided.items()},
        exception_handlers={AspendosError: answer},
        logging_config=None,
    )
    async with AsyncTestClient(app) as client:
        found = await client.get("/v1/account", headers=headers or {"authorization": "Bearer ask-x"})
        return found.status_code, found.json()


async def test_everything_that_decides_what_a_key_may_do(tmp_path: Path) -> None:
    status, found = await seen(WHOLE, tmp_path)
    assert status == 200
    assert found["key"] == {
        "id": "ask-kkkkkkkkkkkk-…",
        "name": "mine",
        "models": ["gpt-*"],
        "features": ["chat"],
    }
    assert (found["team"], found["user"]["name"], found["organisation"]["id"]) == (
        {"id": "team_a", "name": "red"},
        "Ada",
        "org_o",
    )
    assert (found["tier_name"], found["tier_of"]) == ("free", "team_a")
    assert found["tier"]["limits"] == {"requests": {"minute": 20}}
    assert found["limits"] == [
        {"of": "key", "id": "ask-kkkkkkkkkkkk-…", "limits": {"requests": {"minute": 5}}},
        {"of": "org", "id": "org_o", "limits": {"parallel": 9}},
    ]
    assert found["balance"] == {"account": "acct_team_a", "credits": "12.3456789", "nano_usd": 123_456_789}
    assert found["tags"] == {"project": "atlas"}


async def test_a_key_without_all_that(tmp_path: Path) -> None:
    _, found = await seen(PLAIN, tmp_path)
    assert {
        name: found[name] for name in ("user", "organisation", "tier_name", "tier", "balance")
    } == dict.fromkeys(("user", "organisation", "tier_name", "tier", "balance"))
    assert found["limits"] == []


async def test_a_tier_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = Principal(key_id="k", key_name="", team_id="t", team_name="", tier="gold", tier_holder="t")
    _, found = await seen(gone, tmp_path)
    assert (found["tier_name"], found["tier"]) == ("gold", None)


async def test_nobody_is_told_nothing(tmp_path: Path) -> None:
    status, found = await seen(WHOLE, tmp_path, authorization="Bearer ask-y")
    assert (status, found["error"]["code"]) == (401, "missing_api_key")
