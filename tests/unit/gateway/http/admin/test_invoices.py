"""/admin/v1/invoices as tenants and the operator see it."""

from collections.abc import Callable

import pytest
from httpx import ASGITransport, AsyncClient

from billing.invoices.document import LineOrder, Party
from billing.invoices.invoices import InvoiceOrder
from gateway.http.admin.invoices import InvoiceController
from gateway.payments import build_invoices
from gateway.settings import Settings
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.admin_app import admin_app
from tests.control_plane import Plane

OURS = "org_default"
PATH = "/admin/v1/invoices"
Connect = Callable[[Caller], AsyncClient]


@pytest.fixture
def connect(plane: Plane) -> Connect:
    def client(caller: Caller) -> AsyncClient:
        invoices = build_invoices(Settings(), plane.database.engine)
        app = admin_app(plane, [InvoiceController], caller, invoices=invoices, settings=Settings())
        transport = ASGITransport(app)  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
        return AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True)

    return client


def of(org: str) -> Caller:
    return Caller(kind="user", name="o@example.org", org_id=org, user_id="user_1", role=Role.BILLING)


async def test_tenants_see_their_own_and_nobody_elses(connect: Connect, plane: Plane) -> None:
    desk = build_invoices(Settings(), plane.database.engine)
    order = InvoiceOrder(
        buyer=Party(name="B"), lines=(LineOrder(description="x", unit_minor=100),), reference="r"
    )
    issued = await desk.issue(OURS, order)
    async with connect(of(OURS)) as ours, connect(of("org_00000000000000bb")) as theirs:
        assert [one["id"] for one in (await ours.get(PATH)).json()["data"]] == [issued.id]
        assert (await theirs.get(PATH)).json()["data"] == []
        assert (await theirs.get(PATH, params={"organisation": OURS})).status_code == 404
        for part in ("", "/page", "/pdf"):
            assert (await ours.get(f"{PATH}/{issued.id}{part}")).status_code == 200
            assert (await theirs.get(f"{PATH}/{issued.id}{part}")).status_code == 404


async def test_what_the_operator_issues_is_in_the_audit_log(connect: Connect, plane: Plane) -> None:
    body = {
        "organisation": OURS,
        "buyer": {"name": "上海公司"},
        "reference": "r",
        "lines": [{"description": "x", "unit_minor": 100}],
    }
    async with connect(OPERATOR) as operator:
        document = (await operator.post(PATH, json=body)).json()
        page = await operator.get(f"{PATH}/{document['id']}/page")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        lacks = await operator.get(f"{PATH}/{document['id']}/pdf")
        assert (lacks.status_code, lacks.json()["error"]["code"]) == (400, "font_lacks_letters")
        note = await operator.post(f"{PATH}/{document['id']}/credit-notes", json={"reference": "back"})
        assert note.json()["total_minor"] == -100
        both = await operator.post(PATH, json={**body, "reference": "s", "usage_month": "2026-01"})
        assert both.status_code == 400
        vat = await operator.post(PATH, json={**body, "reference": "t", "vat_basis_points": 2000})
        assert (vat.status_code, vat.json()["error"]["param"]) == (400, "vat_basis_points")
        for line in ({"unit_minor": 100.0}, {"unit_minor": "100"}, {"unit_minor": 100, "vat": 2000}):
            odd = {**body, "reference": "u", "lines": [{"description": "x", **line}]}
            assert (await operator.post(PATH, json=odd)).status_code == 400, line
        taxed = {"reference": "v", "lines": [{"description": "x", "unit_minor": 1, "vat_basis_points": 2000}]}
        other = await operator.post(f"{PATH}/{document['id']}/credit-notes", json=taxed)
        assert (other.status_code, other.json()["error"]["param"]) == (400, "lines[0].vat_basis_points")
    from gateway.database.audit import AuditFilter

    page_ = await plane.audit.list(OPERATOR, AuditFilter(action="invoice."))
    assert [row.action for row in page_.data] == ["invoice.credit", "invoice.issue"]
