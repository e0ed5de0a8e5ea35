"""/admin/v1/credits through Litestar on a real ledger: money in, money out, and every odd amount refused."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import ValidationException
from sqlalchemy import text

from gateway.credit_desk import CreditDesk
from gateway.database.organisations import OrganisationCreate
from gateway.database.teams import TeamCreate
from gateway.http.admin.credits import CreditController
from gateway.http.caller import OPERATOR, Caller
from gateway.http.exact import exact_body
from gateway.reconciler import Counters, Reconciler
from inference.ir.errors import AspendosError
from policies.roles import Role
from tests.control_plane import Plane
from tests.credit_world import CreditWorld

CREDIT = 10_000_000
MOST = 2**63 - 1


class _Silent:
    def inc(self, amount: float = 1) -> None:
        return None


class Site:
    """The controller over one organisation's team, and another organisation."""

    team = ""

    def __init__(self, plane: Plane, world: CreditWorld) -> None:
        self.plane = plane
        self.world = world
        self.caller: Caller = OPERATOR
        desk = CreditDesk(
            plane.database,
            world.ledger,
            world.drain,
            attach=plane.holders.set_account,
            tell=world.credit.tell,
        )
        counters = Counters(repaired=_Silent(), unsound=_Silent(), reclaimed=_Silent())
        reconciler = Reconciler(world.credit, world.store, counters)

        def failed(_: Request[Any, Any, Any], error: AspendosError) -> Response[dict[str, Any]]:
            content = {"message": error.message, "param": error.param, "code": error.code}
            return Response(content, status_code=error.http_status)

        def invalid(_: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
            return Response({"message": str(error.extra)}, status_code=400)

        app = Litestar(
            [CreditController],
            before_request=exact_body,
            dependencies={
                "credits": Provide(lambda: desk, sync_to_thread=False),
                "reconciler": Provide(lambda: reconciler, sync_to_thread=False),
                "caller": Provide(lambda: self.caller, sync_to_thread=False),
            },
            exception_handlers={AspendosError: failed, ValidationException: invalid},
        )
        self.client = AsyncClient(transport=ASGITransport(cast("Any", app)), base_url="http://gateway")

    async def ask(self, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        path = f"/admin/v1/credits{path}"
        if isinstance(body, str):
            response = await self.client.request(method, path, params=params, content=body)
        else:
            response = await self.client.request(method, path, params=params, json=body)
        return response.status_code, response.json()

    async def audited(self) -> list[str]:
        async with self.plane.database.reading() as session:
            return list(
                (
                    await session.execute(
                        text("SELECT action FROM audit_log WHERE action LIKE 'credits.%' ORDER BY id")
                    )
                ).scalars()
            )


@pytest.fixture
async def site(plane: Plane, tmp_path: Path) -> AsyncIterator[Site]:
    world = CreditWorld(plane.database, tmp_path / "journal")
    made = Site(plane, world)
    await plane.organisations.create(OPERATOR, OrganisationCreate(name="two", owner_email="first@two.test"))
    made.team = (await plane.teams.create(OPERATOR, TeamCreate(name="red"))).id
    async with made.client:
        yield made
    world.journal.close()


async def _opened(site: Site, usd: str = "5") -> None:
    assert (await site.ask("PUT", "/red", {}))[0] == 200
    status, posting = await site.ask(
        "POST", "/red/grants", {"amount_usd": usd, "reason": "purchase", "reference": "p"}
    )
    assert status == 201, posting


async def test_from_nothing_to_a_statement(site: Site) -> None:
    status, answer = await site.ask("GET", "/red")
    assert (status, answer["code"]) == (404, "account_not_found")
    status, opened = await site.ask("PUT", f"/{site.team}", {"floor_nano": -CREDIT})
    assert (status, opened["floor_nano"], opened["available_usd"], opened["fresh"]) == (
        200,
        -CREDIT,
        "0",
        True,
    )
    assert (await site.plane.teams.get(OPERATOR, "red")).account == opened["id"]
    await _opened(site)
    assert (await site.ask("GET", "/red"))[1]["floor_nano"] == 0
    status, posting = await site.ask(
        "POST", "/red/take-backs", {"amount_nano": CREDIT, "grant_reference": "p"}
    )
    assert (status, posting["amount_nano"]) == (201, -CREDIT)
    status, posting = await site.ask(
        "POST", "/red/adjustments", {"amount_usd": "-0.000000001", "memo": "a nano"}
    )
    assert (status, posting["balance_nano"]) == (201, 5_000_000_000 - CREDIT - 1)
    site.world.pays("r", 7, opened["id"])
    status, account = await site.ask("GET", "/red")
    assert account["available_nano"] == 5_000_000_000 - CREDIT - 8
    assert [grant["reference"] for grant in account["grants"]] == ["p"]
    status, page = await site.ask("GET", "/red/transactions", limit="3")
    assert [(each["reason"], each["model"]) for each in page["transactions"]] == [
        ("model_usage", "m"),
        ("admin_adjustment", None),
        ("correction", None),
    ]
    assert [each["balance_before_nano"] - each["balance_after_nano"] for each in page["transactions"]] == [
        7,
        1,
        CREDIT,
    ]
    assert page["transactions"][1]["metadata"] == {"memo": "a nano"}
    status, rest = await site.ask("GET", "/red/transactions", after=page["next_cursor"])
    assert ([each["reason"] for each in rest["transactions"]], rest["next_cursor"]) == (["purchase"], None)
    month = page["transactions"][0]["at"][:7]
    status, statement = await site.ask("GET", f"/red/statements/{month}")
    assert status == 200
    assert (
        statement["opening_nano"],
        statement["credited_nano"],
        statement["taken_nano"],
        statement["used_nano"],
    ) == (
        0,
        5_000_000_000,
        CREDIT + 1,
        7,
    )
    assert statement["closing_nano"] == account["available_nano"]
    assert statement["usage"] == [{"model": "m", "requests": 1, "cost_nano": 7, "cost_usd": "0.000000007"}]
    assert await site.audited() == [
        "credits.open",
        "credits.floor",
        "credits.grant",
        "credits.take_back",
        "credits.adjust",
    ]
    status, check = await site.ask("POST", "/check")
    assert (status, check["proof"]["faults"]) == (200, [])


async def test_as_csv(site: Site) -> None:
    await _opened(site)
    await site.ask("POST", "/red/adjustments", {"amount_usd": "-1", "memo": "=cmd()"})
    response = await site.client.get("/admin/v1/credits/red/transactions", headers={"accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["reason"], row["amount_usd"], row["memo"]) for row in rows] == [
        ("admin_adjustment", "'-1", "'=cmd()"),
        ("purchase", "5", ""),
    ]
    month = rows[0]["at"][:7]
    response = await site.client.get(f"/admin/v1/credits/red/statements/{month}", params={"format": "csv"})
    lines = list(csv.reader(io.StringIO(response.text)))
    assert [line[0] for line in lines[1:]] == ["opening", "purchase", "admin_adjustment", "closing"]
    assert lines[-1][3] == "4000000000"


async def test_a_repeated_order_changes_nothing_and_a_different_one_is_refused(site: Site) -> None:
    await _opened(site)
    status, again = await site.ask(
        "POST", "/red/grants", {"amount_usd": "5", "reason": "purchase", "reference": "p"}
    )
    assert (status, again["repeated"]) == (201, True)
    status, answer = await site.ask(
        "POST", "/red/grants", {"amount_usd": "6", "reason": "purchase", "reference": "p"}
    )
    assert (status, answer["param"]) == (409, "reference")
    assert (await site.ask("GET", "/red"))[1]["available_usd"] == "5"
    assert (await site.audited()).count("credits.grant") == 1


ODD = [
    '"amount_nano": 1.5',
    '"amount_nano": 1e30',
    '"amount_nano": 1.0e3',
    '"amount_nano": NaN',
    '"amount_nano": "5"',
    '"amount_nano": 5.0',
    '"amount_usd": " 5"',
    '"amount_usd": "5 "',
    '"amount": 5, "amount_nano": 5',
    '"amount_nano": true',
    '"amount_nano": 9223372036854775808',
    '"amount_nano": 99999999999999999999999999999999',
    '"amount_nano": -9223372036854775808',
    '"amount_nano": 0',
    '"amount_usd": 5',
    '"amount_usd": "0"',
    '"amount_usd": "1e3"',
    '"amount_usd": "0.0000000001"',
    '"amount_usd": "9223372036.854775808"',
    '"amount_usd": "Infinity"',
    '"amount_usd": "\u0661"',
    '"amount_nano": 5, "amount_usd": "5"',
    '"reference": "no amount"',
]


async def test_odd_amounts_are_refused_and_nothing_is_posted(site: Site) -> None:
    await _opened(site)
    for route in ("grants", "take-backs", "adjustments"):
        for amount in ODD:
            status, answer = await site.ask("POST", f"/red/{route}", f'{{{amount}, "memo": "m"}}')
            assert status == 400, (route, amount, answer)
    for route in ("grants", "take-backs"):
        for negative in ({"amount_nano": -5}, {"amount_usd": "-0.01"}):
            assert (await site.ask("POST", f"/red/{route}", negative))[0] == 400
    assert (await site.ask("GET", "/red"))[1]["available_usd"] == "5"


async def test_the_largest_amount_fits_and_one_more_does_not(site: Site) -> None:
    await site.ask("PUT", "/red", {})
    assert (await site.ask("POST", "/red/grants", {"amount_nano": MOST}))[0] == 201
    status, answer = await site.ask("POST", "/red/grants", {"amount_nano": 1, "reason": "purchase"})
    assert (status, answer["code"]) == (400, "amount_too_large")
    assert (await site.ask("GET", "/red"))[1]["available_nano"] == MOST


async def test_floors_are_zero_or_a_credit_line(site: Site) -> None:
    for floor in ["1", "-9223372036854775808", "0.5", '"x"']:
        assert (await site.ask("PUT", "/red", f'{{"floor_nano": {floor}}}'))[0] == 400


async def test_another_organisations_accounts_do_not_exist(site: Site) -> None:
    await _opened(site)
    await site.ask("PUT", "/two", {})
    site.caller = await site.plane.caller("o@two.test", Role.OWNER, "two")
    for path in ("/red", f"/{site.team}", "/red/transactions", "/red/statements/2026-02"):
        assert (await site.ask("GET", path))[0] == 404
    _, page = await site.ask("GET", "")
    assert [line["kind"] for line in page["data"]] == ["organisation"]
    site.caller = OPERATOR
    assert [line["kind"] for line in (await site.ask("GET", ""))[1]["data"]] == ["organisation", "team"]


async def test_sql_in_every_string_is_only_text(site: Site) -> None:
    await _opened(site)
    for nasty in ("' OR 1=1 --", '"; DROP TABLE ledger_entries; --', "%", "a\x00b"):
        for order in ({"reference": nasty}, {"memo": nasty}):
            status, answer = await site.ask("POST", "/red/grants", {"amount_nano": 1, **order})
            assert status == (400 if "\x00" in nasty else 201), answer
        status, _ = await site.ask("POST", "/red/take-backs", {"amount_nano": 1, "grant_reference": nasty})
        assert status == (404 if "\x00" in nasty else 201)
        quoted = quote(nasty, safe="")
        for path in (f"/{quoted}", f"/{quoted}/transactions", f"/red/statements/{quoted}"):
            assert (await site.ask("GET", path))[0] in {400, 404}
        assert (await site.ask("GET", "/red/transactions", after=nasty))[0] == 400
    assert (await site.ask("POST", "/check"))[1]["proof"]["faults"] == []


async def test_months_are_months(site: Site) -> None:
    await _opened(site)
    for month in ["2026-13", "2026-1", "26-01", "0000-01", "2026-02-01", "x"]:
        assert (await site.ask("GET", f"/red/statements/{month}"))[0] == 400
