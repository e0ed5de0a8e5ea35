"""Webhooks into gateways that are killed again and again: every payment is credited once, none twice, none never."""

import random
import threading
import time
from pathlib import Path

import httpx
import pytest
import stripe as sdk

from tests.harness import UpstreamThread
from tests.shop import ORG, Shop, open_shop
from tests.stripe_emulator.store import VERSION

PURCHASES = 12
KILLS = 4


class Sender:
    """Delivers as Stripe does: in any order, until a 200, some of it twice although there was one."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.left = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        delivered, seen = list[int](), 0
        waiting: list[int] = []
        while not self.stop.is_set() or waiting:
            events = self.shop.stripe.store.events
            waiting += range(seen, len(events))
            seen = len(events)
            if not waiting:
                time.sleep(0.01)
                continue
            at = self.random.randrange(len(waiting))
            try:
                answered = self.shop.webhook(events[waiting[at]])
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answered == 200:
                delivered.append(waiting.pop(at))
            if self.random.random() < 0.1 and delivered:
                waiting.append(self.random.choice(delivered))
            self.left = len(waiting)


@pytest.mark.parametrize("seed", [7])
def test_every_payment_is_credited_once(upstream: UpstreamThread, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with open_shop(upstream, tmp_path) as shop:
        page = shop.call("POST", "/checkout", json={"pack": "ten", "return_url": "https://example.org"})
        shop.stripe.complete(page["id"])
        sender = Sender(shop, seed)
        sender.thread.start()
        api = sdk.StripeClient(
            shop.stripe.key, stripe_version=VERSION, base_addresses={"api": shop.stripe.url}
        )
        customer = shop.stripe.store.all("customer")[0]["id"]
        marks = dict(shop.stripe.store.all("payment_intent")[0]["metadata"])
        card = shop.stripe.store.all("payment_method")[0]["id"]
        for turn in range(1, PURCHASES):
            payment = api.v1.payment_intents.create(
                {
                    "amount": 1000, "currency": "usd", "customer": customer, "payment_method": card,
                    "confirm": True, "metadata": {**marks, "aspendos_key": str(turn)},
                }
            )  # fmt: skip
            if turn % 3 == 0:
                api.v1.refunds.create({"payment_intent": payment.id, "amount": 500})
            if turn % (PURCHASES // KILLS) == 1:
                time.sleep(chance.random() * 0.2)
                shop.gateway.kill9()
                shop.gateway.start()
        sender.stop.set()
        sender.thread.join(60)
        assert not sender.thread.is_alive()
        refunded = sum(turn % 3 == 0 for turn in range(1, PURCHASES))
        shop.wait("credits", 1000 * PURCHASES - 500 * refunded)
        deadline = time.monotonic() + 20
        while pending := shop.call("GET", "/events?state=pending")["data"]:
            assert time.monotonic() < deadline, pending
            time.sleep(0.1)
        assert shop.credits() == 1000 * PURCHASES - 500 * refunded
        found = shop.gateway.admin.get(f"{shop.gateway.url}/admin/v1/credits/{ORG}/transactions")
        references = [row["reference"] for row in found.json()["transactions"]]
        assert len(references) == len(set(references))
