"""Admission over a store in memory and a small catalogue, with what stands behind it."""

from pathlib import Path
from typing import Any, cast

from billing.budgets.budget import Cap, Holder
from gateway.admission import Admission, Admitted
from gateway.call import Call
from gateway.catalogue import LiveCatalogue
from gateway.database.keyring import Keyring
from gateway.dialects.dialect import Request
from gateway.metrics import Metrics
from gateway.routing.table import KeyFor, RoutingTable
from gateway.rule_book import RuleBook
from inference.ir.cards import Kind
from inference.ir.errors import ProviderKeyRefused
from policies.api_keys import Principal
from policies.stores.memory import MemoryStore
from policies.stores.step import Cold
from tests.fake_edge import FakeEdge

CATALOGUE = """version: 1
providers:
  p: {wire: openai, base_url: "http://127.0.0.1:1/v1"}
  keyless: {wire: openai, base_url: "http://127.0.0.1:1/v1", key: {env: NOT_SET}}
models:
  chat-one: {kind: chat, free: true, aliases: [one], targets: [{provider: p, model: x}]}
  secret: {kind: chat, free: true, targets: [{provider: p, model: x}]}
  vectors: {kind: embedding, free: true, targets: [{provider: p, model: x}]}
  sleeping: {kind: chat, free: true, targets: [{provider: keyless, model: x}]}
  dear: {kind: chat, price: {input: 1, output: 10}, max_output: 1000, targets: [{provider: p, model: x}]}
  cheap: {kind: chat, price: {input: 0.1, output: 1}, max_output: 1000, targets: [{provider: p, model: x}]}
  endless: {kind: chat, price: {input: 1, output: 10}, targets: [{provider: p, model: x}]}
  painter: {kind: image, price: {per_image: 0.04}, targets: [{provider: p, model: x}]}
  sketcher: {kind: image, price: {per_image: 0.01}, targets: [{provider: p, model: x}]}
  drawer: {kind: image, price: {input: 0.001, output: 0.001}, targets: [{provider: p, model: x}]}
tiers:
  few: {requests: {minute: 2}, tokens: {minute: 1000}, parallel: 1}
  short: {when_empty: {shorten: 10}}
  other: {when_empty: {model: chat-one}}
  paid: {credits_per_month: 50}
  ownless: {byok: false}
  narrow: {models: ["chat-*"], features: {vision: false}}
"""


def table_in(folder: Path) -> RoutingTable:
    """The routes of that catalogue; `folder` is where it is written."""
    file = folder / "models.yaml"
    file.write_text(CATALOGUE)
    return LiveCatalogue(file, {}, Metrics()).table


def principal(*models: str, team: tuple[str, ...] = ()) -> Principal:
    return Principal(key_id="k", key_name="k", team_id="t", team_name="t", models=models, team_models=team)


class Counting:
    """Admission over a store in memory, with what stands behind it."""

    def __init__(self, table: RoutingTable, *, balance: int = 0, caps: tuple[Cap, ...] = ()) -> None:
        self.table = table
        self.now = 1_000_000.0
        self.store = MemoryStore(lambda: self.now)
        self.balance = balance
        self.caps_of_all = caps
        self.refusals: list[Cap] = []
        self.version = 1
        self.keys: dict[str, Own] = {}
        self.calls = 0
        self.full = False
        self.header: dict[str, str] = {}
        self.admission = Admission(
            cast(Keyring, None),  # the keyring has tests of its own
            rule_book=RuleBook(self, self, clock=lambda: self.now),
            store=self.store,
            treasury=self,
            budgets=self,
            own_keys=self,
            clock=lambda: self.now,
            full=lambda: self.full,
        )

    def caps(self, holder: Holder) -> tuple[Cap, ...]:
        return self.caps_of_all

    def cap(self, key: str) -> Cap | None:
        return next((cap for cap in self.caps_of_all if cap.key == key), None)

    def refused(self, cap: Cap) -> None:
        self.refusals.append(cap)

    def floor(self, account: str) -> int:
        return 0

    async def warm(self, cold: Cold) -> None:
        for account in cold.accounts:
            await self.store.load(account, self.balance, epoch=await self.store.epoch(account))
        for quota in cold.quotas:
            await self.store.load_quota(quota, 0)

    def for_caller(
        self, org_id: str | None, team_id: str | None, user_id: str | None, model: str
    ) -> KeyFor | None:
        return self.keys.get if self.keys else None

    async def ask(
        self, who: Principal, model: str, *, kind: Kind = Kind.CHAT, **fields: Any
    ) -> tuple[Call, Admitted]:
        """One request, from its route to its ticket."""
        self.calls += 1
        call = Call(f"r{self.calls}", "chat", FakeEdge())
        call.tags = dict(self.header)
        wanted: dict[str, Any] = {
            "stream": False,
            "options": None,
            "hints": False,
            "prompt": b"x" * 40,
            **fields,
        }
        request = Request(model=model, **wanted)
        route = self.admission.route(self.table, who, request, kind, call)
        return call, await self.admission.admit(call, self.table, who, request, route)

    def settle(self, call: Call, *, tokens: int = 0, amount: int = 0) -> None:
        assert call.ticket is not None
        self.store.settle(call.ticket, tokens=tokens, amount=amount)


async def admit(table: RoutingTable, who: Principal, model: str, kind: Kind = Kind.CHAT) -> str:
    """The model that one request is let in to."""
    admission = Counting(table).admission
    request = Request(model=model, stream=False, options=None, hints=False, prompt=b"")
    call = Call("r", "chat", FakeEdge())
    route = admission.route(table, who, request, kind, call)
    return (await admission.admit(call, table, who, request, route)).route.model.name


class Own:
    """A key of the caller's own for the provider `p`."""

    provider = "p"
    secret = "sk-own"
    fallback = False

    def worked(self) -> None: ...
    def refused(self, error: ProviderKeyRefused) -> None: ...
