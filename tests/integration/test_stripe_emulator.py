"""The emulated Stripe is as strict as the real one: asked by the real SDK, and by bare requests."""

from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import stripe as sdk
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode  # pyright: ignore[reportPrivateUsage]  # what goes over the wire

from tests.stripe_emulator.form import Garbled, decode
from tests.stripe_emulator.server import StripeEmulator
from tests.stripe_emulator.shape import shaped
from tests.stripe_emulator.store import VERSION
from tests.stripe_emulator.subscriptions import MONTH


def client(
    stripe: StripeEmulator, *, version: str = VERSION, key: str | None = None, retries: int = 0
) -> sdk.StripeClient:
    return sdk.StripeClient(
        key or stripe.key,
        stripe_version=version,
        base_addresses={"api": stripe.url},
        max_network_retries=retries,
    )


def paid(stripe: StripeEmulator, amount: int = 1000) -> str:
    """A succeeded payment's id."""
    api = client(stripe)
    customer = api.v1.customers.create({"name": "A"}).id
    card = api.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    return api.v1.payment_intents.create(
        {"amount": amount, "currency": "usd", "customer": customer, "payment_method": card, "confirm": True}
    ).id


def test_keys_and_versions_are_asked_for(stripe: StripeEmulator) -> None:
    with pytest.raises(sdk.AuthenticationError):
        client(stripe, key="sk_test_other").v1.customers.list()
    with pytest.raises(sdk.InvalidRequestError, match="version"):
        client(stripe, version="2020-08-27").v1.customers.list()


def test_an_idempotency_key_makes_one_thing_and_only_for_the_same_parameters(stripe: StripeEmulator) -> None:
    api = client(stripe)
    first = api.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert api.v1.customers.create({"name": "A"}, {"idempotency_key": "k"}).id == first.id
    with pytest.raises(sdk.IdempotencyError):
        api.v1.customers.create({"name": "B"}, {"idempotency_key": "k"})
    assert api.v1.customers.create({"name": "A"}, {"idempotency_key": "other"}).id != first.id
    assert len(stripe.store.all("customer")) == 2


def test_a_refusal_of_the_card_is_remembered_and_a_mistake_is_not(stripe: StripeEmulator) -> None:
    api = client(stripe)
    customer = api.v1.customers.create({"name": "A"}).id
    card = api.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    order: Any = {
        "amount": 1000,
        "currency": "usd",
        "customer": customer,
        "payment_method": card,
        "confirm": True,
    }
    for _ in range(2):
        with pytest.raises(sdk.CardError) as refused:
            api.v1.payment_intents.create(order, {"idempotency_key": "k"})
        assert refused.value.code == "card_declined"
    assert len(stripe.store.all("payment_intent")) == 1
    with pytest.raises(sdk.InvalidRequestError):
        order["amount"] = 1
        api.v1.payment_intents.create(order, {"idempotency_key": "small"})
    order["amount"] = 1000
    order["payment_method"] = api.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    made = api.v1.payment_intents.create(order, {"idempotency_key": "small"})
    assert made.status == "succeeded"


@pytest.mark.parametrize("fault", ["lost", "429", "500"])
def test_the_sdks_own_repetitions_make_one_thing(stripe: StripeEmulator, fault: str) -> None:
    stripe.faults.append(fault)
    api = client(stripe, retries=2)
    if fault == "429":  # the SDK does not repeat these by itself
        with pytest.raises(sdk.RateLimitError):
            api.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    api.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    assert len(stripe.store.all("customer")) == 1


@pytest.mark.parametrize(
    ("path", "form", "param"),
    [
        ("/v1/customers", "nam=A", "nam"),
        ("/v1/customers", "address[stret]=A", "address[stret]"),
        ("/v1/prices", "unit_amount=1", "currency"),
        ("/v1/prices", "currency=usd&unit_amount=1.5&product_data[name]=x", "unit_amount"),
        ("/v1/prices", "currency=usd&unit_amount=-1&product_data[name]=x", "unit_amount"),
        ("/v1/prices", "currency=xxx&unit_amount=1&product_data[name]=x", "currency"),
        ("/v1/checkout/sessions", "mode=paymen", "mode"),
        ("/v1/checkout/sessions", "success_url=x", "mode"),
        ("/v1/payment_intents", "amount=x&currency=usd", "amount"),
        ("/v1/payment_intents", "amount=100&currency=usd&off_session=true", "off_session"),
        ("/v1/payment_intents", "amount=10&currency=usd", "amount"),
        ("/v1/subscriptions", "items[0][price]=price_x", "customer"),
        ("/v1/refunds", "payment_intent=pi_x", "payment_intent"),
        ("/v1/customers?limit=101", None, "limit"),
        ("/v1/customers?starting_after=cus_x", None, "starting_after"),
        ("/v1/customers?expand[]=x", None, None),
    ],
)
def test_unknown_missing_and_wrong_parameters_are_refused(
    stripe: StripeEmulator, path: str, form: str | None, param: str | None
) -> None:
    data = None if form is None else form.encode()
    headers = {"Authorization": f"Bearer {stripe.key}", "Stripe-Version": VERSION}
    api = Request(stripe.url + path, data, headers)
    with pytest.raises(HTTPError) as refused, urlopen(api, timeout=10):
        pass
    with refused.value as answer:
        assert answer.code == 400
        assert param is None or f'"param": "{param}"'.encode() in answer.read()


def test_no_more_is_refunded_than_was_paid(stripe: StripeEmulator) -> None:
    api, payment = client(stripe), paid(stripe)
    api.v1.refunds.create({"payment_intent": payment, "amount": 400})
    with pytest.raises(sdk.InvalidRequestError, match="greater than unrefunded"):
        api.v1.refunds.create({"payment_intent": payment, "amount": 601})
    api.v1.refunds.create({"payment_intent": payment})
    with pytest.raises(sdk.InvalidRequestError) as refused:
        api.v1.refunds.create({"payment_intent": payment, "amount": 1})
    assert refused.value.code == "charge_already_refunded"
    disputed = paid(stripe)
    stripe.cards.dispute(disputed)
    with pytest.raises(sdk.InvalidRequestError) as refused:
        api.v1.refunds.create({"payment_intent": disputed})
    assert refused.value.code == "charge_disputed"


def test_lists_go_page_by_page_newest_first(stripe: StripeEmulator) -> None:
    api = client(stripe)
    made = [api.v1.customers.create({"name": str(n)}).id for n in range(25)]
    first = api.v1.customers.list({"limit": 10})
    assert (first.has_more, [row.id for row in first.data]) == (True, made[:-11:-1])
    assert [row.id for row in first.auto_paging_iter()] == made[::-1]
    back = api.v1.customers.list({"ending_before": first.data[5].id, "limit": 3})
    assert [row.id for row in back.data] == [row.id for row in first.data[2:5]]


def test_a_test_clock_renews_and_ends_subscriptions(stripe: StripeEmulator) -> None:
    api = client(stripe)
    clock = api.v1.test_helpers.test_clocks.create({"frozen_time": stripe.store.now})
    customer = api.v1.customers.create({"name": "A", "test_clock": clock.id}).id
    stripe.use_card(customer, "pm_card_visa")
    price = api.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 999,
            "recurring": {"interval": "month"},
            "product_data": {"name": "x"},
        }
    )
    made = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price.id}]})
    api.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": stripe.store.now + 2 * MONTH + 5})
    assert len(api.v1.invoices.list({"customer": customer}).data) == 3
    assert (
        api.v1.subscriptions.retrieve(made.id)["items"].data[0].current_period_start
        == stripe.store.now + 2 * MONTH
    )
    api.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    api.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": stripe.store.now + 4 * MONTH})
    assert api.v1.subscriptions.retrieve(made.id).status == "canceled"
    with pytest.raises(sdk.InvalidRequestError):
        api.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": stripe.store.now})


def test_no_field_that_stripe_does_not_have_gets_out() -> None:
    with pytest.raises(AssertionError, match="period"):
        shaped({"object": "subscription", "id": "sub_1", "current_period_end": 1})
    assert shaped({"object": "customer", "id": "cus_1"})["email"] is None


LEAVES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
NAMES = st.text("abcxyz_", min_size=1, max_size=4)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda inner: (
            st.dictionaries(NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@given(TREES)
def test_what_the_sdk_encodes_is_what_is_read(tree: dict[str, Any]) -> None:
    from urllib.parse import urlencode

    assert decode(urlencode(list(_api_encode(tree)))) == tree


@pytest.mark.parametrize("text", ["a[b=1", "a=1&a[b]=2", "a[0]=1&a[2]=3", "a=1&a=2"])
def test_keys_that_do_not_nest_are_garbled(text: str) -> None:
    with pytest.raises(Garbled):
        decode(text)
