"""Stripe's webhooks: is it Stripe's, is it fresh, and what is it about. Pure but for Stripe's own check.

Signature: https://docs.stripe.com/webhooks#verify-manually, computed by Stripe's library. That library refuses old
timestamps by a clock of its own and lets future ones pass, so age is judged here, both ways.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from billing.processors.processor import Forged, Notice, Subject

TOLERANCE = 300
"""Seconds a timestamp may differ from our clock, Stripe's own default."""


class _Data(Struct):
    object: dict[str, Any]


class _Event(Struct):
    id: str
    type: str
    created: int
    data: _Data
    object: str = "event"


def read_notice(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: float) -> Notice:
    """The notice a webhook carries. `secrets` are those of the endpoint, the new and the old while rolled.

    Raises Forged.
    """
    import stripe

    if not secrets:
        raise Forged("no signing secret is set, so no webhook can be believed")
    header = headers.get("stripe-signature", "")
    if not any(_holds(stripe, body, header, secret) for secret in secrets):
        raise Forged("the signature does not hold")
    age = now - _timestamp(header)
    if abs(age) > TOLERANCE:
        raise Forged(f"signed {age:.0f} s ago" if age > 0 else f"signed {-age:.0f} s in the future")
    try:
        event = msgspec.json.decode(body, type=_Event)
    except msgspec.MsgspecError as error:
        raise Forged("not an event of Stripe's") from error
    if event.object != "event" or not 0 < len(event.id) <= 128:
        raise Forged("not an event of Stripe's")
    return Notice(
        id=event.id,
        type=event.type[:100],
        created=event.created,
        subject=subject_of(event.type, event.data.object),
    )


def subject_of(type_: str, held: Mapping[str, Any]) -> Subject | None:
    """What has to be looked at after an event of this type; None when it changes nothing here."""
    id_ = held.get("id")
    found: tuple[str, object] | None = None
    if type_.startswith("customer.subscription."):
        found = ("subscription", id_)
    elif type_.startswith("payment_intent."):
        found = ("payment", id_)
    elif type_.startswith("checkout.session."):
        found = ("checkout", id_)
    elif type_.startswith(("charge.", "refund.")):
        found = ("payment", held.get("payment_intent"))
    elif type_.startswith("invoice.") and type_ not in ("invoice.upcoming", "invoice.will_be_due"):
        found = ("invoice", id_)
    elif type_.startswith("invoice_payment."):
        found = ("invoice", held.get("invoice"))
    if found is None or not isinstance(found[1], str) or not 0 < len(found[1]) <= 128:
        return None
    return Subject(found[0], found[1])


def _holds(stripe: Any, body: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _timestamp(header: str) -> int:
    # The first one, as Stripe's library signs it.
    return next(int(item[2:]) for item in header.split(",") if item.startswith("t="))
