"""Stripe's signatures both ways: its library signs what we read, and refuses what we refuse."""

import json
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from billing.processors.processor import Forged, Subject
from billing.processors.stripe_notice import TOLERANCE, read_notice, subject_of

SECRET = "whsec_test_secret"
NOW = 1_800_000_000


def event(**fields: object) -> str:
    base = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": NOW - 5}
    return json.dumps({**base, "data": {"object": {"id": "pi_1", "object": "payment_intent"}}, **fields})


def sign(body: str, at: int = NOW, secret: str = SECRET) -> str:
    return stripe.WebhookSignature.generate_signature_header(body, secret, at)  # pyright: ignore[reportUnknownMemberType]  # Stripe left its clock untyped


def test_a_vector_of_the_documented_scheme() -> None:
    """HMAC-SHA256 of `timestamp.body`, computed with openssl."""
    digest = "0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b"
    assert sign("{}", 1_492_774_577, "whsec_test") == f"t=1492774577,v1={digest}"


def test_what_stripe_signs_is_read() -> None:
    body = event()
    found = read_notice(body.encode(), {"stripe-signature": sign(body)}, [SECRET], NOW)
    assert (found.id, found.subject, found.created) == ("evt_1", Subject("payment", "pi_1"), NOW - 5)


def test_either_secret_does_while_they_are_rolled() -> None:
    body = event()
    assert (
        read_notice(body.encode(), {"stripe-signature": sign(body)}, ["whsec_new", SECRET], NOW).id == "evt_1"
    )
    header = f"{sign(body, secret='whsec_other')},{sign(body).split(',')[1]}"
    assert read_notice(body.encode(), {"stripe-signature": header}, [SECRET], NOW).id == "evt_1"
    with pytest.raises(Forged, match="no signing secret"):
        read_notice(body.encode(), {"stripe-signature": sign(body)}, [], NOW)


@pytest.mark.parametrize("drift", [-TOLERANCE - 1, TOLERANCE + 1, -(10**8), 10**8])
def test_old_and_future_timestamps_are_refused(drift: int) -> None:
    body = event()
    with pytest.raises(Forged, match=r"ago|future"):
        read_notice(body.encode(), {"stripe-signature": sign(body, NOW + drift)}, [SECRET], NOW)
    within = TOLERANCE if drift > 0 else -TOLERANCE
    assert read_notice(body.encode(), {"stripe-signature": sign(body, NOW + within)}, [SECRET], NOW)


@pytest.mark.parametrize(
    "body", ["[]", "{}", "null", '{"id": 1}', event(id=""), event(id="x" * 200), event(object="y")]
)
def test_signed_nonsense_is_refused(body: str) -> None:
    with pytest.raises(Forged):
        read_notice(body.encode(), {"stripe-signature": sign(body)}, [SECRET], NOW)


@given(st.binary(max_size=40), st.text(max_size=60))
def test_no_bytes_and_no_header_get_past_or_break_it(body: bytes, header: str) -> None:
    with pytest.raises(Forged):
        read_notice(body, {"stripe-signature": header}, [SECRET], NOW)


@given(st.integers(0, 120), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(place: int, bit: int) -> None:
    body = bytearray(event().encode())
    header = sign(body.decode())
    body[place % len(body)] ^= 1 << bit
    with pytest.raises(Forged):
        read_notice(bytes(body), {"stripe-signature": header}, [SECRET], NOW)


@pytest.mark.parametrize(
    ("type_", "held", "subject"),
    [
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1"}, Subject("payment", "pi_1")),
        ("refund.failed", {"id": "re_1", "payment_intent": "pi_1"}, Subject("payment", "pi_1")),
        ("charge.dispute.created", {"id": "dp_1", "payment_intent": "pi_1"}, Subject("payment", "pi_1")),
        ("charge.dispute.created", {"id": "dp_1", "payment_intent": None}, None),
        ("invoice.paid", {"id": "in_1"}, Subject("invoice", "in_1")),
        ("invoice.upcoming", {"object": "invoice"}, None),
        ("invoice_payment.paid", {"id": "inpay_1", "invoice": "in_1"}, Subject("invoice", "in_1")),
        ("checkout.session.completed", {"id": "cs_1"}, Subject("checkout", "cs_1")),
        ("customer.subscription.deleted", {"id": "sub_1"}, Subject("subscription", "sub_1")),
        ("customer.created", {"id": "cus_1"}, None),
        ("payment_intent.succeeded", {"id": 5}, None),
        ("payment_intent.succeeded", {"id": "x" * 200}, None),
    ],
)
def test_what_is_looked_at_after_which_event(
    type_: str, held: dict[str, Any], subject: Subject | None
) -> None:
    assert subject_of(type_, held) == subject
