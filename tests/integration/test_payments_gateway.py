"""Payments through a running gateway: its routes, its webhooks on a socket, its worker, the emulated Stripe."""

import json
import time
from collections.abc import Iterator

import pytest
import stripe as sdk

from tests.harness import UpstreamThread
from tests.shop import BILLING, ORG, Shop, open_shop
from tests.stripe_emulator.store import Fields

BACK = "https://example.org/back"


@pytest.fixture(scope="module")
def shop(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(upstream, tmp_path_factory.mktemp("shop")) as shop:
        yield shop


def test_credits_are_bought_refunded_and_a_tier_subscribed_changed_and_cancelled(shop: Shop) -> None:
    offers = shop.call("GET", "/offers")
    assert [(one["name"], one["prices"]) for one in offers["tiers"]] == [
        ("basic", {"USD": "9.99"}),
        ("pro", {"USD": "29.99"}),
    ]
    order = {"pack": "ten", "return_url": BACK, "currency": "TRY"}
    page = shop.call("POST", "/checkout", json=order, headers={"idempotency-key": "one"})
    assert page == shop.call("POST", "/checkout", json=order, headers={"idempotency-key": "one"})
    shop.stripe.complete(page["id"])
    shop.deliver()
    shop.wait("credits", 1000)
    (payment,) = shop.call("GET", "/payments")["data"]
    # Ten dollars at 0.029 dollars a lira, rounded up to a kuruş.
    assert (payment["amount_minor"], payment["currency"], payment["fx"]) == (34483, "TRY", "0.029")

    shop.call("POST", f"/payments/{payment['reference']}/refunds", json={"amount_minor": 34483})
    shop.wait("credits", 0)

    page = shop.call("POST", "/subscription", json={"tier": "basic", "return_url": BACK})
    shop.stripe.complete(page["id"])
    shop.deliver()
    shop.wait("tier", "basic")
    shop.wait("credits", 500)
    assert shop.call("GET", "/")["subscription"]["status"] == "active"
    due = shop.call("GET", "/subscription/preview?tier=pro")
    assert (due["amount"], due["currency"]) == ("20.00", "USD")
    shop.call("PATCH", "/subscription", json={"tier": "pro"})
    shop.deliver()
    shop.wait("tier", "pro")
    assert shop.call("DELETE", "/subscription")["subscription"] is not None
    shop.call("POST", "/subscription/resume")
    assert len(shop.call("GET", "/invoices")["data"]) == 2
    shop.call("DELETE", "/subscription?now=true")
    shop.deliver()
    shop.wait("tier", None)
    assert shop.call("GET", "/events")["data"]


@pytest.mark.parametrize("drift", [-301, 301, -86400, 86400])
def test_old_and_future_webhooks_are_refused(shop: Shop, drift: int) -> None:
    event = shop.stripe.store.events[0] if shop.stripe.store.events else _event("evt_1")
    assert shop.webhook(event, at=time.time() + drift) == 400


def test_forged_and_broken_webhooks_are_refused_without_a_word(shop: Shop) -> None:
    url = f"{shop.gateway.url}/webhooks/stripe"
    assert shop.webhook(_event("evt_x"), secret="whsec_wrong") == 400
    body = json.dumps(_event("evt_y")).encode()
    good = sdk.WebhookSignature._compute_signature(  # pyright: ignore[reportPrivateUsage]  # what Stripe signs with
        f"{int(time.time())}.{body.decode()}", shop.stripe.webhook_secret
    )
    for header in (
        "",
        "t=,v1=",
        "v1=abc",
        f"t={int(time.time())}",
        f"t={int(time.time())},v0={good}",
        "t=x,v1=y",
    ):
        answer = shop.gateway.http.post(url, content=body, headers={"stripe-signature": header})
        assert answer.status_code == 400, header
        assert answer.json()["error"]["message"] == "This is not a valid webhook."
    tampered = shop.gateway.http.post(
        url,
        content=body.replace(b"evt_y", b"evt_z"),
        headers={"stripe-signature": f"t={int(time.time())},v1={good}"},
    )
    assert tampered.status_code == 400
    assert shop.webhook(b"\xff\xfe") == 400
    assert shop.webhook(b"[]") == 400
    assert shop.webhook(b'{"id": 1}') == 400
    assert shop.gateway.http.post(url, content=b"x" * (2 << 20)).status_code == 413
    assert shop.gateway.http.post(f"{shop.gateway.url}/webhooks/nobody", content=body).status_code == 404


def test_unknown_types_are_taken_and_counted(shop: Shop) -> None:
    assert shop.webhook(_event("evt_new_type", "radar.something_new.created")) == 200
    assert shop.webhook(_event("evt_new_type", "radar.something_new.created")) == 200
    ignored = [
        row for row in shop.call("GET", "/events?state=ignored")["data"] if row["id"] == "evt_new_type"
    ]
    assert len(ignored) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/checkout", {"pack": "ten", "return_url": BACK, "currency": "XXX"}),
        ("POST", "/checkout", {"pack": "ten", "return_url": BACK, "currency": "'; DROP TABLE payments;--"}),
        ("POST", "/checkout", {"pack": "ten", "return_url": "javascript:alert(1)"}),
        ("POST", "/checkout", {"pack": "ten", "return_url": "http://evil.example"}),
        ("POST", "/checkout", {"pack": "ten"}),
        ("POST", "/checkout", {"pack": "ten", "return_url": BACK, "amount": 5}),
        ("POST", "/checkout", {"pack": "ten", "return_url": BACK, "currency": "KRW"}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": -1}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": 1.5}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": 2**63}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": 5, "most_per_day": 0}),
        ("PUT", "/top-up", {"pack": "ten", "threshold_nano": 5, "most_per_day": 1000}),
        ("POST", "/payments/x/refunds", {"amount_minor": -1}),
        ("POST", "/payments/x/refunds", {"amount_minor": 0}),
        ("POST", "/payments/x/refunds", {"amount_minor": 0.5}),
        ("POST", "/payments/x/refunds", {"amount_minor": 2**63}),
    ],
)
def test_bad_input_is_a_clear_400(shop: Shop, method: str, path: str, body: dict[str, object]) -> None:
    answer = shop.gateway.admin.request(
        method, f"{shop.gateway.url}{BILLING}{path}", params={"organisation": ORG}, json=body
    )
    assert answer.status_code == 400, answer.text
    assert len(answer.json()["error"]["message"]) > 15


@pytest.mark.parametrize("organisation", ["org_of_somebody_else", "'; DROP TABLE payments;--", ""])
def test_nobody_pays_for_an_organisation_that_is_not_there(shop: Shop, organisation: str) -> None:
    answer = shop.gateway.admin.post(
        f"{shop.gateway.url}{BILLING}/checkout",
        params={"organisation": organisation},
        json={"pack": "ten", "return_url": BACK},
    )
    assert answer.status_code == 404, answer.text


def test_invoices_are_issued_shown_and_credited(shop: Shop) -> None:
    invoices = f"{shop.gateway.url}/admin/v1/invoices"
    order = {
        "organisation": ORG,
        "buyer": {"name": "<b>Örnek</b> A.Ş.", "country": "TR"},
        "reference": "july",
        "currency": "TRY",
        "lines": [{"description": "Inference", "unit_minor": 12345, "vat_basis_points": 2000}],
    }
    made = shop.gateway.admin.post(invoices, json=order)
    assert made.status_code == 201, made.text
    document = made.json()
    assert (document["total_minor"], document["fx"], document["seller"]["name"]) == (14814, "0.029", "Satıcı")
    assert shop.gateway.admin.post(invoices, json=order).json() == document
    one = f"{invoices}/{document['id']}"
    assert shop.gateway.admin.get(one).json() == document
    page = shop.gateway.admin.get(f"{one}/page")
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;Örnek" in page.text
    pdf = shop.gateway.admin.get(f"{one}/pdf")
    assert pdf.content.startswith(b"%PDF-")
    note = shop.gateway.admin.post(f"{one}/credit-notes", json={"reference": "back"}).json()
    assert (note["total_minor"], note["corrects_number"]) == (-14814, document["number"])
    again = shop.gateway.admin.post(f"{one}/credit-notes", json={"reference": "again"})
    assert again.status_code == 409
    listed = shop.gateway.admin.get(invoices, params={"organisation": ORG, "limit": 1}).json()
    assert (len(listed["data"]), listed["has_more"]) == (1, True)
    mistakes: tuple[dict[str, object], ...] = (
        {"currency": "XXX"}, {"usage_month": "2026-07"}, {"lines": []}, {"series": "../"},
        {"usage_month": "July", "lines": []},
        {"lines": [{"description": "x", "unit_minor": 1.5}]}, {"lines": [{"description": "x", "unit_minor": -1}]},
        {"usage_month": "2020-01", "lines": []}, {"usage_month": "2999-01", "lines": []},
    )  # fmt: skip
    for wrong in mistakes:
        answer = shop.gateway.admin.post(invoices, json={**order, "reference": "wrong", **wrong})
        assert answer.status_code == 400, (wrong, answer.text)
    assert shop.gateway.admin.post(invoices, json={**order, "organisation": "org_none"}).status_code == 404


def _event(id_: str, type_: str = "payment_intent.succeeded") -> Fields:
    return {
        "id": id_,
        "object": "event",
        "type": type_,
        "created": int(time.time()),
        "data": {"object": {"id": "pi_nobodys"}},
    }
