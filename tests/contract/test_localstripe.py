"""localstripe, an emulation by others, run as a process: what it supports of Stripe works with what we ask of it.

It has no prices, Checkout, meters or disputes, tells nothing of refunds, and lists neither a customer's cards nor
their payments; those are tested against our own stricter emulation alone.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import stripe as sdk

from billing.processors.processor import Buyer, Declined, Forged, Notice, ProcessorAway, Subject
from billing.processors.stripe import StripeProcessor
from billing.processors.stripe_objects import API_VERSION, given_back
from tests.harness import free_port
from tests.payments_world import PACK

SECRET = "whsec_localstripe"
KEY = "sk_test_localstripe"


class Local:
    """The process, and what it sent to its one webhook."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.processor = StripeProcessor(KEY, [SECRET], api_base=url)
        self.client = sdk.StripeClient(KEY, stripe_version=API_VERSION, base_addresses={"api": url})

    def heard(self, type_: str) -> Notice:
        """The notice of this type, once it has come."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for body, headers in list(self.received):
                notice = self.processor.notice(body, headers, time.time())
                if notice.type == type_:
                    return notice
            time.sleep(0.05)
        raise AssertionError(f"no {type_} came")

    def card(self, customer: str, number: str) -> None:
        made = self.client.v1.payment_methods.create(
            {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}}
        )
        self.client.v1.payment_methods.attach(made.id, {"customer": customer})
        self.client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": made.id}})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder: Path = tmp_path_factory.mktemp("localstripe")
    port = free_port()
    running = Local(f"http://127.0.0.1:{port}")

    class Hook(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            running.received.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "localstripe", "--port", str(port), "--from-scratch"],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            _register(running.url, f"http://127.0.0.1:{hook.server_address[1]}/")
            yield running
        finally:
            process.kill()
            process.wait()
            running.processor.close()
            hook.shutdown()
            hook.server_close()
            thread.join()


def _register(url: str, hook: str) -> None:
    """Once it listens."""
    form = urlencode({"url": hook, "secret": SECRET}).encode()
    deadline = time.monotonic() + 30
    while True:
        try:
            with urlopen(Request(f"{url}/_config/webhooks/ours", form), timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


async def test_a_stored_card_is_charged_and_refunded_and_its_webhooks_hold(local: Local) -> None:
    customer = await local.processor.customer(Buyer(org_id="org_1", name="Örnek A.Ş."), key="c1")
    assert local.client.v1.customers.retrieve(customer).name == "Örnek A.Ş."
    local.card(customer, "4242424242424242")
    payment = await local.processor.charge(customer, PACK, key="t1")
    notice = local.heard("payment_intent.succeeded")
    assert notice.subject == Subject("payment", payment)

    await local.processor.refund(payment, 250, key="r1")
    intent = local.client.v1.payment_intents.retrieve(payment)
    refunds = local.client.v1.refunds.list({"payment_intent": payment}).data
    assert (intent.status, intent.amount, given_back(refunds)) == ("succeeded", PACK.price.minor, 250)
    assert intent.metadata["aspendos_credit_nano"] == str(PACK.credit_nano)
    assert list(await local.processor.invoices(customer, limit=5)) == []


async def test_its_signature_is_of_its_bytes_and_of_its_time(local: Local) -> None:
    await local.processor.customer(Buyer(org_id="org_2", name="B"), key="c2")
    assert local.heard("customer.created").subject is None
    body, headers = local.received[-1]
    for changed, at in ((body + b" ", time.time()), (body, time.time() + 400), (body, time.time() - 400)):
        with pytest.raises(Forged):
            local.processor.notice(changed, headers, at)


async def test_a_declined_card_is_a_refusal(local: Local) -> None:
    customer = await local.processor.customer(Buyer(org_id="org_3", name="C"), key="c3")
    local.card(customer, "4000000000000341")
    with pytest.raises(Declined):
        await local.processor.charge(customer, PACK, key="t3")


async def test_a_stripe_that_is_away_is_no_refusal(local: Local) -> None:
    nobody = StripeProcessor(KEY, [], api_base=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProcessorAway):
        await nobody.customer(Buyer(org_id="org_4", name="D"), key="c4")
    nobody.close()
