"""A gateway that sells through the emulated Stripe: a process, its routes and its webhooks."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import stripe as sdk

from tests.harness import GatewayProcess, UpstreamThread, catalogue
from tests.payments_world import CREDIT
from tests.stripe_emulator.server import StripeEmulator
from tests.stripe_emulator.store import Fields

BILLING = "/admin/v1/billing"
ORG = "org_default"
PATIENCE = 40


class Shop:
    """A gateway that sells, and the Stripe it sells through."""

    def __init__(self, gateway: GatewayProcess, stripe: StripeEmulator) -> None:
        self.gateway, self.stripe = gateway, stripe
        self.delivered = 0

    def call(self, method: str, path: str, **options: Any) -> Any:
        where = f"{path}{'&' if '?' in path else '?'}organisation={ORG}"
        answer = self.gateway.admin.request(method, f"{self.gateway.url}{BILLING}{where}", **options)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def webhook(self, event: Fields | bytes, *, at: float | None = None, secret: str | None = None) -> int:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        stamp = int(time.time() if at is None else at)
        signature = sdk.WebhookSignature._compute_signature(  # pyright: ignore[reportPrivateUsage]  # what Stripe signs with
            f"{stamp}.{body.decode('latin-1')}", secret or self.stripe.webhook_secret
        )
        headers = {"stripe-signature": f"t={stamp},v1={signature}"}
        return self.gateway.http.post(
            f"{self.gateway.url}/webhooks/stripe", content=body, headers=headers
        ).status_code

    def deliver(self) -> None:
        """Everything that happened, twice, the last first."""
        fresh = self.stripe.store.events[self.delivered :]
        self.delivered = len(self.stripe.store.events)
        for event in [*reversed(fresh), *fresh]:
            assert self.webhook(event) == 200

    def credits(self) -> float:
        answer = self.gateway.admin.get(f"{self.gateway.url}/admin/v1/credits/{ORG}")
        return answer.json()["available_nano"] / CREDIT if answer.status_code == 200 else 0

    def wait(self, what: str, wanted: object) -> None:
        """Until the worker has seen to it."""
        deadline = time.monotonic() + PATIENCE
        found: object = None
        while time.monotonic() < deadline:
            found = self.credits() if what == "credits" else self.tier()
            if found == wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"{what} is {found}, {wanted} was expected")

    def tier(self) -> str | None:
        answer = self.gateway.admin.get(f"{self.gateway.url}/admin/v1/organisations/{ORG}")
        return answer.json()["tier"]


@contextmanager
def open_shop(upstream: UpstreamThread, folder: Path) -> Generator[Shop]:
    """With two tiers, one pack and a few currencies."""
    tiers = {
        "basic": {"credits_per_month": 500, "price": {"USD": "9.99"}},
        "pro": {"credits_per_month": 5000, "price": {"USD": "29.99"}},
    }
    with StripeEmulator() as emulator:
        environment = {
            "ASPENDOS_STRIPE_KEY": emulator.key,
            "ASPENDOS_STRIPE_WEBHOOK_SECRET": f"whsec_an_older_one,{emulator.webhook_secret}",
            "ASPENDOS_STRIPE_API_BASE": emulator.url,
            "ASPENDOS_SELLER": '{"name": "Satıcı", "country": "TR"}',
            "ASPENDOS_CREDIT_PACKS": "ten=1000:10USD",
            "ASPENDOS_EXCHANGE_RATES": "TRY=0.029,EUR=1.08,CNY=0.14,JPY=0.0067",
        }
        text = {**catalogue(upstream.base_url), "tiers": tiers}
        with GatewayProcess(folder, text, environment=environment) as running:
            yield Shop(running, emulator)
