"""Credentials: which header lines a call gets, what is blotted out of an answer, and how a refusal is worded."""

import pytest

from inference.credentials import (
    KEY_REFUSALS,
    key_refused,
    operator_headers,
    refusal_reason,
    tenant_headers,
    unspoken,
)
from inference.deployment import wire_of
from inference.ir.cards import Provider

CARD = Provider(
    name="acme",
    wire="openai",
    base_urls=("https://acme.example/v1",),
    key="sk-operators",
    headers=(("X-Version", "1"), ("x-org", "org-operators"), ("X-Api-Token", "token-operators")),
    account_headers=frozenset({"x-org"}),
)
WIRE = wire_of(CARD)


def test_the_operators_lines() -> None:
    assert list(operator_headers(CARD, WIRE)) == [
        "authorization: Bearer sk-operators",
        "x-version: 1",
        "x-org: org-operators",
        "x-api-token: token-operators",
    ]


def test_a_tenants_lines_have_nothing_of_the_operators_account() -> None:
    assert list(tenant_headers(CARD, WIRE, "sk-tenants")) == [
        "authorization: Bearer sk-tenants",
        "x-version: 1",
    ]
    assert list(tenant_headers(CARD, WIRE, None)) == ["x-version: 1"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (b"no sk-operators here", b"no *** here"),
        (b"token-operators", b"***"),
        (b'a\\"b\\/c and a"b/c and a\\"b/c', b"*** and *** and ***"),
        (b"nothing of it", b"nothing of it"),
    ],
)
def test_every_way_a_secret_may_be_written(said: bytes, left: bytes) -> None:
    assert unspoken(CARD, said, 'a"b/c') == left


def test_without_an_own_key_only_the_operators_are_blotted_out() -> None:
    assert unspoken(CARD, b"sk-operators sk-tenants") == b"*** sk-tenants"


@pytest.mark.parametrize("status", sorted(KEY_REFUSALS))
def test_a_refusal_says_whose_key_it_is_and_what_to_do(status: int) -> None:
    error = key_refused("acme", WIRE, status, 3.0, b'{"error":{"message":"Out of\\n  luck."}}')
    assert error.code == "provider_key_refused"
    assert error.retry_after == 3.0
    assert "your own key" in error.message
    assert f"(status {status}): Out of luck." in error.message
    assert "/admin/v1/provider-keys" in error.message


def test_a_reason_is_one_short_line() -> None:
    assert refusal_reason(WIRE, b'{"message": "a  b\\tc"}') == "a b c"
    long = refusal_reason(WIRE, b'{"message": "%b"}' % (b"x" * 1000))
    assert len(long) == 301
