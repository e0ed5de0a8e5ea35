"""Signatures: fixed vectors, Stripe's own library as the judge, and what must not pass."""

from typing import Any, cast

import pytest
import stripe

from gateway.alerts.signature import secret_of, signed, verify
from policies.api_keys import Pepper

_STRIPE = cast("Any", stripe.WebhookSignature)  # typed in part
_BODY = b'{"id":"evt_1"}'
_SECRET = "whsec_test"
_NOW = 1_700_000_000
# echo -n '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
_VECTOR = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"


def test_the_vector() -> None:
    assert signed(_BODY, [_SECRET], _NOW) == f"t={_NOW},v1={_VECTOR}"


def test_stripes_own_library_accepts_it() -> None:
    header = signed(_BODY, ["whsec_new", _SECRET], _NOW)
    assert _STRIPE.verify_header(_BODY.decode(), header, _SECRET)  # without a tolerance
    with pytest.raises(stripe.SignatureVerificationError):
        _STRIPE.verify_header(_BODY.decode(), header, "whsec_other")


def test_both_secrets_pass_while_one_is_being_replaced() -> None:
    header = signed(_BODY, ["new", "old"], _NOW)
    assert verify(header, _BODY, "new", now=_NOW)
    assert verify(header, _BODY, "old", now=_NOW + 300)
    assert not verify(header, _BODY, "older", now=_NOW)


@pytest.mark.parametrize(
    ("header", "body", "now"),
    [
        (f"t={_NOW},v1={_VECTOR}", _BODY + b" ", _NOW),
        (f"t={_NOW},v1={_VECTOR}", _BODY, _NOW + 301),
        (f"t={_NOW},v1={_VECTOR}", _BODY, _NOW - 301),
        (f"t={_NOW + 1},v1={_VECTOR}", _BODY, _NOW),
        (f"t={_NOW},t={_NOW},v1={_VECTOR}", _BODY, _NOW),
        (f"t={_NOW},v0={_VECTOR}", _BODY, _NOW),
        (f"t={_NOW},v1=", _BODY, _NOW),
        (f"t={_NOW},v1=ü", _BODY, _NOW),
        (f"t=²,v1={_VECTOR}", _BODY, _NOW),
        (f"v1={_VECTOR}", _BODY, _NOW),
        ("", _BODY, _NOW),
        ("t=" + "9" * 5000, _BODY, _NOW),
    ],
)
def test_what_does_not_pass(header: str, body: bytes, now: int) -> None:
    assert verify(f"t={_NOW},v1={_VECTOR}", _BODY, _SECRET, now=_NOW)
    assert not verify(header, body, _SECRET, now=now)


def test_secrets_belong_to_one_installation_organisation_and_salt() -> None:
    pepper = Pepper(b"pepper")
    secrets = {
        secret_of(pepper, "org_a", "1"),
        secret_of(pepper, "org_a", "2"),
        secret_of(pepper, "org_b", "1"),
        secret_of(Pepper(b"other"), "org_a", "1"),
    }
    assert len(secrets) == 4
    assert all(len(secret) == 49 and secret.startswith("whsec_") for secret in secrets)
    assert secret_of(pepper, "org_a", "1") in secrets
