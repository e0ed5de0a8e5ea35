"""Customers: clients that keep what every answer said it cost, and hold the books to it afterwards.

A whole answer must be in the books at exactly that cost; one that was cut off may be in them, if it was recorded just
before, or not at all; nothing else may be. What the store and the ledger say is left must be the same.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
from msgspec import Struct, field

from tests.harness import GatewayProcess, VirtualKey

BODY = {"messages": [{"role": "user", "content": "count to eight"}], "max_tokens": 50}


ENOUGH = 20
"""Whole answers without which a test of trouble would say nothing."""
PATIENCE = 60.0
"""Seconds a busy machine is given for them."""


class Received(Struct):
    """What the clients were told: cost in nano-USD by request id, ids of answers that were cut, refusals by status.

    `lost` counts requests whose answer's head never came: what was in flight when something died.
    """

    whole: dict[str, int] = field(default_factory=dict[str, int])
    cut: set[str] = field(default_factory=set[str])
    refused: dict[int, int] = field(default_factory=dict[int, int])
    lost: int = 0


class _Row(Struct, frozen=True):
    id: str
    cost_nano: int


class Customers:
    """A new team with `funds` nano-USD, which asks `gateways`. Ready when every gateway knows that it pays.

    `inside(n)` is entered by whoever speaks to the gateway of this number: where it can be reached.
    """

    def __init__(
        self,
        gateways: Sequence[GatewayProcess],
        *,
        funds: int,
        inside: Callable[[int], AbstractContextManager[object]] = lambda _: contextlib.nullcontext(),
    ) -> None:
        self.gateways = gateways
        self.funds = funds
        self.received = Received()
        self._inside = inside
        self._lock = threading.Lock()
        self._stop = threading.Event()
        with inside(0):
            self.key = gateways[0].new_key()
            self._fund()
        for number, gateway in enumerate(gateways):
            with inside(number):
                gateway.wait_until(lambda gateway=gateway: _pays(gateway, self.key), seconds=30)

    @property
    def account_path(self) -> str:
        """Of the management API."""
        return f"/admin/v1/credits/{self.key.team}"

    def _fund(self) -> None:
        one = self.gateways[0]
        opened = one.admin.put(f"{one.url}{self.account_path}", json={})
        assert opened.status_code == 200, opened.text
        order = {"amount_nano": self.funds, "reference": self.key.team}
        given = one.admin.post(f"{one.url}{self.account_path}/grants", json=order)
        assert given.status_code == 201, given.text

    def under_load(
        self, trouble: Callable[[], None], *, models: Sequence[str], clients: int, seconds: float
    ) -> None:
        """Run clients while `trouble` is made again and again: so long, and until something was answered at all."""
        self._stop.clear()
        threads = [threading.Thread(target=self._client, args=(n, models)) for n in range(clients)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until or (
                len(self.received.whole) <= ENOUGH and time.monotonic() < until + PATIENCE
            ):
                trouble()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
        assert not any(thread.is_alive() for thread in threads)

    def _client(self, number: int, models: Sequence[str]) -> None:
        """Each stays with one gateway: a thread that went into a network stays there."""
        draw = random.Random(number)
        at = number % len(self.gateways)
        with self._inside(at):
            while not self._stop.is_set():
                with contextlib.suppress(httpx.TransportError):
                    self.ask(at, draw.choice(models), stream=draw.random() < 0.7)
                    continue
                time.sleep(0.01)

    def ask(self, at: int, model: str, *, stream: bool = False) -> int:
        """One request of the gateway of this number; its status. Raises httpx.TransportError where it was cut."""
        body = {**BODY, "model": model, "stream": stream}
        url = f"{self.gateways[at].base_url}/chat/completions"
        name: str | None = None
        seen = b""
        try:
            with (
                httpx.Client(timeout=20, verify=False) as client,
                client.stream("POST", url, json=body, headers=self.key.bearer) as answer,
            ):
                if answer.status_code != 200:
                    with self._lock:
                        refused = self.received.refused
                        refused[answer.status_code] = refused.get(answer.status_code, 0) + 1
                    return answer.status_code
                name = answer.headers["x-request-id"]
                for piece in answer.iter_raw():
                    seen += piece
                cost = answer.headers.get("x-aspendos-cost") if not stream else _comment(seen)
        except httpx.TransportError:
            with self._lock:
                if name is not None:
                    self.received.cut.add(name)
                else:
                    self.received.lost += 1
            raise
        with self._lock:
            if cost is not None and (not stream or seen.endswith(b"data: [DONE]\n\n")):
                self.received.whole[name] = nano(cost)
            else:
                self.received.cut.add(name)
        return 200

    def audit(self, *, at_least: int = ENOUGH, hot: bool = True) -> dict[str, int]:
        """Books, usage and store against what the clients received; costs by request id. `hot`: as `_agree`."""
        with self._inside(0):
            one = self.gateways[0]
            rows = self._recorded(one)
            costs = {row.id: row.cost_nano for row in rows}
            assert len(costs) == len(rows), "a request is in the books twice"
            received = self.received
            assert len(received.whole) > at_least, f"hardly anything happened: {received.refused}"
            missing = received.whole.keys() - costs.keys()
            assert not missing, f"{len(missing)} whole answers have no record"
            wrong = {name for name, cost in received.whole.items() if costs[name] != cost}
            assert not wrong, f"{len(wrong)} answers cost another sum than their clients were told"
            unheard = {
                name
                for name, cost in costs.items()
                if cost and name not in received.whole and name not in received.cut
            }
            stored = one.admin.get(f"{one.url}{self.account_path}").json()
            assert stored["available_nano"] == self.funds - sum(costs.values())
            assert stored["held_nano"] == 0
            self.agree(repairs=hot)
            # Its head was lost on the way: no client knows the request by name. But each of them asked for one.
            assert len(unheard) <= received.lost, f"{len(unheard)} paid requests that nobody asked for"
        return costs

    def _recorded(self, gateway: GatewayProcess) -> list[_Row]:
        """All usage; what other gateways have in their journals is there a second or so later."""
        until = time.monotonic() + 10
        while True:
            rows = list(_all_usage(gateway, self.key))
            if self.received.whole.keys() <= {row.id for row in rows} or time.monotonic() > until:
                return rows
            time.sleep(0.2)

    def agree(self, *, repairs: bool = True) -> dict[str, Any]:
        """The store's balance is the ledger's: at once, or, where Redis lost what it knew, when it was reconciled.

        What was told to Redis around its loss may be in the balance loaded anew too, as docs/limits.md says; without
        `repairs` nothing may have to be corrected.
        """
        gateway = self.gateways[0]
        until = time.monotonic() + 30
        while True:
            checked = gateway.admin.post(f"{gateway.url}/admin/v1/credits/check").json()
            assert checked["proof"]["faults"] == []
            wrong = [found for found in checked["findings"] if found["faults"] or found["difference_nano"]]
            if not wrong:
                return checked
            assert repairs, wrong
            assert time.monotonic() < until, wrong
            time.sleep(0.5)


def nano(text: str) -> int:
    """Dollars as a header has them, in nano-USD."""
    whole, _, rest = text.partition(".")
    return int(whole + rest.ljust(9, "0"))


def _pays(gateway: GatewayProcess, key: VirtualKey) -> bool:
    answer = gateway.http.get(f"{gateway.base_url}/account", headers=key.bearer)
    return answer.status_code == 200 and answer.json()["balance"] is not None


def _comment(seen: bytes) -> str | None:
    at = seen.rfind(b": x-aspendos-cost: ")
    return None if at < 0 else seen[at:].split(b" ", 3)[2].decode()


def _answered(gateway: GatewayProcess, parameters: dict[str, Any]) -> dict[str, Any]:
    """A page of usage; a database that has just come back may need a moment."""
    until = time.monotonic() + 20
    while True:
        answer = gateway.admin.get(f"{gateway.url}/admin/v1/usage", params=parameters)
        if answer.status_code == 200:
            return answer.json()
        assert time.monotonic() < until, answer.text
        time.sleep(0.2)


def _all_usage(gateway: GatewayProcess, key: VirtualKey) -> Iterator[_Row]:
    cursor: str | None = None
    while True:
        parameters: dict[str, Any] = {"key": key.id, "limit": 1000}
        if cursor is not None:
            parameters["cursor"] = cursor
        page = _answered(gateway, parameters)
        for record in page["records"]:
            yield _Row(record["id"], record["cost_nano"])
        cursor = page.get("next_cursor")
        if cursor is None:
            return
