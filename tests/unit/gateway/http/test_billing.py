"""/admin/v1/billing as an organisation's own people see it: their own things, and nobody else's."""

from collections.abc import AsyncGenerator

import pytest
from httpx import ASGITransport, AsyncClient

from billing.processors.payments import Payments
from gateway.database.tables import OrganisationRow
from gateway.http.billing import BillingController
from policies.caller import Caller
from policies.roles import Role
from tests.admin_app import admin_app
from tests.control_plane import Plane
from tests.payments_world import BACK, CREDIT, PACK, World

OURS, THEIRS = "org_default", "org_00000000000000bb"
PATH = "/admin/v1/billing"


async def no_account(_: str) -> None:
    """The tests open accounts themselves."""


def client_of(world: World, caller: Caller) -> AsyncClient:
    desk = Payments(
        processor=world.processor,
        subscribers=world.subscribers,
        book=world.book,
        inbox=world.inbox,
        top_ups=world.top_ups,
        worker=world.worker,
        offers=lambda: world.offers,
        balance=world.balance,
        open_account=no_account,
    )
    app = admin_app(Plane(world.database), [BillingController], caller, payments={"stripe": desk})
    return AsyncClient(
        transport=ASGITransport(app),  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
        base_url="http://gateway",
        follow_redirects=True,
    )


@pytest.fixture
async def ours(small_world: World) -> AsyncGenerator[AsyncClient]:
    caller = Caller(kind="user", name="o@example.org", org_id=OURS, user_id="user_1", role=Role.OWNER)
    async with client_of(small_world, caller) as client:
        yield client


async def bought(world: World, org: str) -> str:
    page = await world.processor.checkout(await world.customer(org), PACK, back=BACK, key=f"buy {org}")
    world.stripe.complete(page.id)
    await world.settle()
    (payment,) = await world.book.list(org, limit=1)
    return payment.reference


async def test_another_organisations_things_are_not_there(ours: AsyncClient, small_world: World) -> None:
    reference = await bought(small_world, THEIRS)
    for method, path, body in (
        ("GET", "/", None),
        ("GET", "/payments", None),
        ("GET", "/invoices", None),
        ("GET", "/top-up/runs", None),
        ("POST", "/checkout", {"pack": "ten", "return_url": BACK}),
        ("POST", "/subscription", {"tier": "pro", "return_url": BACK}),
        ("POST", "/portal", {"return_url": BACK}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": 1}),
        ("DELETE", "/subscription", None),
    ):
        answer = await ours.request(method, f"{PATH}{path}?organisation={THEIRS}", json=body)
        assert answer.status_code == 404, (method, path)
    # Their payment by its name, asked for as if it were ours.
    answer = await ours.post(f"{PATH}/payments/{reference}/refunds", json={})
    assert answer.status_code == 404
    assert (await ours.get(f"{PATH}/payments")).json() == {"data": []}
    answer = await ours.get(f"{PATH}/payments", params={"after": reference})
    assert answer.status_code == 400


async def test_spent_credit_is_the_operators_to_refund(ours: AsyncClient, small_world: World) -> None:
    reference = await bought(small_world, OURS)
    account = await small_world.ledger.account(OURS)
    assert account is not None
    await small_world.ledger.adjust(account.id, -600 * CREDIT, reference="s", memo="s", actor="test")
    refunds = f"{PATH}/payments/{reference}/refunds"
    refused = await ours.post(refunds, json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "credit_spent")
    assert (await ours.post(refunds, json={"amount_minor": 400})).status_code == 201
    await small_world.settle()
    assert await small_world.credits(OURS) == 0
    async with client_of(small_world, Caller(kind="operator", name="admin key")) as operator:
        answer = await operator.post(f"{refunds}?organisation={OURS}", json={})
        assert answer.status_code == 201
        over = await operator.post(f"{refunds}?organisation={OURS}", json={"amount_minor": 601})
        assert over.status_code == 400
    await small_world.settle()
    assert await small_world.credits(OURS) == -600


async def test_one_subscription_at_a_time_and_no_change_to_the_same(
    ours: AsyncClient, small_world: World
) -> None:
    await small_world.customer(OURS)
    order = {"tier": "basic", "return_url": BACK}
    assert (await ours.patch(f"{PATH}/subscription", json={"tier": "pro"})).status_code == 404
    page = (await ours.post(f"{PATH}/subscription", json=order)).json()
    small_world.stripe.complete(page["id"])
    await small_world.settle()
    assert (await ours.post(f"{PATH}/subscription", json=order)).status_code == 409
    assert (await ours.patch(f"{PATH}/subscription", json={"tier": "basic"})).status_code == 409
    assert (await ours.patch(f"{PATH}/subscription", json={"tier": "free"})).status_code == 404
    standing = (await ours.patch(f"{PATH}/subscription", json={"tier": "pro"})).json()
    assert standing["subscription"]["status"] == "active"


async def test_the_operator_names_an_organisation(small_world: World) -> None:
    async with client_of(small_world, Caller(kind="operator", name="admin key")) as operator:
        assert (await operator.get(PATH)).status_code == 400
        assert (await operator.get(PATH, params={"organisation": OURS})).status_code == 200
        assert (await operator.get(PATH, params={"organisation": OURS, "processor": "x"})).status_code == 400
        assert (await operator.get(f"{PATH}/events")).json() == {"data": []}


async def test_every_act_is_in_the_audit_log(ours: AsyncClient, small_world: World) -> None:
    async with small_world.database.reading() as session:
        assert await session.get(OrganisationRow, OURS) is not None
    await ours.post(f"{PATH}/checkout", json={"pack": "ten", "return_url": BACK})
    await ours.put(f"{PATH}/top-up", json={"pack": "ten", "threshold_nano": 5})
    plane = Plane(small_world.database)
    from gateway.database.audit import AuditFilter

    page = await plane.audit.list(Caller(kind="operator", name="x"), AuditFilter(action="billing."))
    assert [(row.action, row.actor) for row in page.data] == [
        ("billing.top_up", "o@example.org"),
        ("billing.checkout", "o@example.org"),
    ]
    found = (await ours.get(f"{PATH}/top-up")).json()
    assert (found["pack"], found["threshold_nano"]) == ("ten", 5)
