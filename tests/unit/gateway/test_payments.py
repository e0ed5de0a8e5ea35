"""How payments reach tenants: tiers set with their notices in one transaction, accounts that pay, the audit log."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger.ledger import Ledger
from gateway.database.tables import AuditRow, OrganisationRow
from gateway.payments import Tenants, build_payments, offers
from gateway.settings import Settings, SettingsError, load_settings
from inference.ir.errors import NotFound
from tests.control_plane import Plane

ORG = "org_default"


async def organisation(plane: Plane) -> OrganisationRow:
    async with plane.database.reading() as session:
        row = await session.get(OrganisationRow, ORG)
    assert row is not None
    return row


async def nothing(_: AsyncConnection) -> None:
    """Nothing else to do."""


async def test_a_tier_comes_goes_and_is_in_the_audit_log(plane: Plane) -> None:
    tenants = Tenants(plane.changes, Ledger(plane.database.engine), fallback="free")
    await tenants.set_tier(ORG, "pro", nothing)
    assert (await organisation(plane)).tier == "pro"
    await tenants.set_tier(ORG, "pro", nothing)
    await tenants.set_tier(ORG, None, nothing)
    assert (await organisation(plane)).tier == "free"
    async with plane.database.reading() as session:
        rows = (
            (await session.execute(select(AuditRow).where(AuditRow.action == "organisation.tier")))
            .scalars()
            .all()
        )
    assert [(row.before, row.after) for row in rows][-2:] == [
        ({"tier": None}, {"tier": "pro"}),
        ({"tier": "pro"}, {"tier": "free"}),
    ]
    with pytest.raises(NotFound):
        await tenants.set_tier("org_none", "pro", nothing)


async def test_an_objection_undoes_the_tier(plane: Plane) -> None:
    tenants = Tenants(plane.changes, Ledger(plane.database.engine), fallback=None)

    async def object_(_: AsyncConnection) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await tenants.set_tier(ORG, "pro", object_)
    assert (await organisation(plane)).tier is None


async def test_the_first_purchase_opens_the_account_that_pays(plane: Plane) -> None:
    ledger = Ledger(plane.database.engine)
    tenants = Tenants(plane.changes, ledger, fallback=None)
    for _ in range(2):
        await tenants.open_account(ORG)
    account = await ledger.account(ORG)
    assert account is not None
    assert (await organisation(plane)).account == account.id
    with pytest.raises(NotFound):
        await tenants.open_account("org_00000000000000ff")


async def test_processors_are_those_with_a_key(plane: Plane) -> None:
    ledger = Ledger(plane.database.engine)
    tenants = Tenants(plane.changes, ledger, fallback=None)
    environments: list[tuple[dict[str, str], list[str]]] = [
        ({}, []),
        ({"ASPENDOS_STRIPE_KEY": "sk_test_0123456789"}, ["stripe"]),
        (
            {"ASPENDOS_STRIPE_KEY": "sk_test_0123456789", "ASPENDOS_POLAR_TOKEN": "polar_oat_0123456789"},
            ["stripe", "polar"],
        ),
    ]
    for environ, names in environments:
        desks = build_payments(load_settings(environ), plane.database.engine, ledger, tenants, dict)
        assert list(desks) == names
        for desk in desks.values():
            await desk.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ASPENDOS_CREDIT_PACKS", "ten"),
        ("ASPENDOS_EXCHANGE_RATES", "TRY=-1"),
        ("ASPENDOS_EXCHANGE_RATES", "XXX=1"),
        ("ASPENDOS_PAYMENT_GRACE", "-1"),
        ("ASPENDOS_SELLER", "{}"),
        ("ASPENDOS_INVOICE_FONT", "/nowhere.ttf"),
        ("ASPENDOS_STRIPE_API_BASE", "ftp://x"),
    ],
)
def test_wrong_settings_are_said_at_the_start(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: text})


def test_what_is_for_sale_follows_the_catalogue() -> None:
    settings = Settings(credit_packs="ten=1000:10USD", exchange_rates="TRY=0.5")
    sold = offers(settings, dict)()
    assert sold.pack("ten", "TRY").price.minor == 2000
    assert sold.tiers == {}
