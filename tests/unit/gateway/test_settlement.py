"""What every call ends in: one record, one count, one line; the second time, nothing."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.meter import Meter
from billing.pricing import cost_nano
from billing.usage import UsageRecord
from gateway.call import Call, request_ids
from gateway.errand import Errand
from gateway.metrics import Metrics
from gateway.request_log import RequestLog
from gateway.settlement import Settlement, journal_full
from inference.deployment import Deployment
from inference.ir.cards import WHOLE, Price
from inference.ir.errors import ClientGone, MissingKey, Unavailable, UpstreamFailed
from inference.ir.tiers import Feature
from inference.ir.usage import Usage, UsageSource
from policies.api_keys import Principal
from policies.stores.memory import MemoryStore
from policies.stores.step import Rules, Ticket
from tests.fake_answer import deployment, model
from tests.fake_edge import FakeEdge
from tests.own_key import OwnKey

TARGET = deployment()
OWN = TARGET.keyed(OwnKey("fake"))


class Journal:
    def __init__(self) -> None:
        self.records: list[UsageRecord] = []
        self.room = True

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        if payload.startswith(b'{"hold"'):
            return self.room
        self.records.append(msgspec.json.decode(payload, type=UsageRecord))
        assert owed is any(record.held_nano or record.provider_cost_nano for record in self.records[-1:])
        return self.room


def call(name: str = "req-1", *, tried: Deployment | None = TARGET) -> Call:
    made = Call(name, "chat", FakeEdge())
    made.principal = Principal(key_id="k", key_name="n", team_id="t", team_name="team")
    made.model = model()
    if tried is not None:
        made.attempted(tried)
    return made


async def test_a_call_is_settled_once() -> None:
    journal, metrics = Journal(), Metrics()
    lines: list[bytes] = []
    settlement = Settlement(Meter(journal), metrics, RequestLog(lines.append), MemoryStore(time.time))
    settled = call()
    usage = Usage(
        input_tokens=1000,
        output_tokens=10,
        cache_read_tokens=5,
        reasoning_tokens=2,
        source=UsageSource.REPORTED,
    )
    assert settlement.settle(settled, usage, finish_reason="stop") == 1_020_000
    assert settlement.settle(settled, usage) == 0
    (record,) = journal.records
    assert (record.key_id, record.team_id, record.model, record.provider) == ("k", "t", "m", "fake")
    assert (record.target, record.price_version, record.attempts) == ("real@127.0.0.1:1", "p1", 1)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (1000, 10, 5)
    text = metrics.expose().decode()
    assert 'aspendos_requests_total{model="m",provider="fake",route="chat",status="200"} 1.0' in text
    assert 'aspendos_tokens_total{kind="input",model="m",provider="fake"} 1000.0' in text
    assert 'aspendos_cost_usd_total{model="m",provider="fake"} 0.00102' in text


async def test_a_call_of_a_batch_costs_its_part_of_the_price_and_what_was_billed_before_nothing() -> None:
    journal = Journal()
    log = RequestLog(list[bytes]().append)
    settlement = Settlement(Meter(journal), Metrics(), log, MemoryStore(time.time))

    async def nobody() -> Principal:
        raise AssertionError("asked for before")

    usage = Usage(input_tokens=1001, output_tokens=10, source=UsageSource.REPORTED)
    for part, paid, cost, version in (
        (WHOLE, False, 1_021_000, "p1"),
        (500_000_000, False, 510_500, "p1*0.5"),
        (333_333_333, False, 340_333, "p1*0.333333333"),
        (500_000_000, True, 0, "p1*0"),
    ):
        settled = call(f"req-{part}-{paid}")
        settled.model = replace(model(), batch_price=part)
        settled.errand = Errand(id="req-1", principal=nobody, paid=paid)
        assert settlement.settle(settled, usage) == cost
        record = journal.records[-1]
        assert (record.cost_nano, record.price_version) == (cost, version)
        assert record.provider_cost_nano == 1_021_000
    settled = call("req-2")
    settled.model = replace(model(), batch_price=500_000_000)
    assert settlement.settle(settled, usage) == 1_021_000, "only batches' calls cost less"


async def test_what_is_not_text_is_charged_recorded_and_counted() -> None:
    journal, metrics = Journal(), Metrics()
    lines: list[bytes] = []
    settlement = Settlement(Meter(journal), metrics, RequestLog(lines.append), MemoryStore(time.time))
    settled, failed = call(), call()
    failed.id = "req-2"
    price = Price(input=0, output=0, per_image=40_000_000, per_hour=360_000_000, version="p2")
    settled.model = failed.model = replace(model(), price=price)
    usage = Usage(images=2, audio_ms=1_500, source=UsageSource.REPORTED)
    assert settlement.settle(settled, usage) == 80_150_000
    assert settlement.settle(failed, usage, status=502, error=UpstreamFailed("no")) == 0
    one, other = journal.records
    assert (one.images, one.audio_ms, one.characters, one.input_tokens) == (2, 1_500, 0, 0)
    assert (one.cost_nano, one.provider_cost_nano, one.price_version) == (80_150_000, 80_150_000, "p2")
    assert (other.cost_nano, other.provider_cost_nano, other.images) == (0, 80_150_000, 2)
    assert b'"images":2' in lines[0]
    assert 'aspendos_units_total{kind="images",model="m",provider="fake"} 4.0' in metrics.expose().decode()


async def test_a_request_refused_because_the_journal_is_full_does_not_fill_it_more() -> None:
    journal, metrics = Journal(), Metrics()
    lines: list[bytes] = []
    settlement = Settlement(Meter(journal), metrics, RequestLog(lines.append), MemoryStore(time.time))
    settlement.settle(call(), status=503, error=journal_full())
    assert journal.records == []
    assert b"journal_full" in lines[0]
    text = metrics.expose().decode()
    assert 'aspendos_requests_rejected_total{code="journal_full"} 1.0' in text
    assert 'status="503"} 1.0' in text


async def test_nothing_is_begun_whose_hold_the_disk_refuses() -> None:
    journal = Journal()
    settlement = Settlement(
        Meter(journal), Metrics(), RequestLog(list[bytes]().append), MemoryStore(time.time)
    )
    held = call()
    held.ticket = Ticket(id=held.id, rules=Rules(account="acct"), tokens=0, held=5, at=0.0)
    journal.room = False
    with pytest.raises(Unavailable) as caught:
        settlement.hold(held)
    assert (caught.value.code, caught.value.retry_after) == ("journal_full", 5.0)
    settlement.settle(held, status=503, error=caught.value)
    assert [record.held_nano for record in journal.records] == [5], "what ends the hold is recorded"


async def test_a_caller_nobody_knows_is_counted_but_writes_no_record() -> None:
    journal, metrics = Journal(), Metrics()
    lines: list[bytes] = []
    stranger = Call("req-2", "chat", FakeEdge())
    Settlement(Meter(journal), metrics, RequestLog(lines.append), MemoryStore(time.time)).settle(
        stranger, status=401, error=MissingKey("no key")
    )
    assert journal.records == []
    assert 'aspendos_requests_rejected_total{code="missing_api_key"} 1.0' in metrics.expose().decode()


texts = st.text(max_size=20)
some = st.integers(0, 10**6)
few = st.one_of(st.just(0), some)
usages = st.builds(
    Usage,
    **{name: few for name in Usage.__struct_fields__ if name != "source"},
    source=st.sampled_from(UsageSource),
)
principals = st.builds(
    Principal,
    key_id=texts,
    key_name=texts,
    team_id=texts,
    team_name=texts,
    **dict.fromkeys(("org_id", "user_id", "tier"), st.none() | texts),
)


@given(
    principals,
    st.none() | texts,
    st.lists(
        st.fixed_dictionaries(
            {
                "usage": usages,
                "tried": st.sampled_from([None, TARGET, OWN]),
                "held": st.none() | few,
                "tags": st.dictionaries(texts, texts, max_size=2),
                "stream": st.booleans(),
                "ttft_us": st.none() | some,
                "error": st.sampled_from([None, UpstreamFailed("no"), ClientGone("gone")]),
                "finish_reason": st.none() | texts,
            }
        ),
        max_size=5,
    ),
)
async def test_what_is_journaled_is_the_whole_record(
    principal: Principal, account: str | None, calls: list[dict[str, Any]]
) -> None:
    """However much of it was filled in before, and whatever calls came before it."""
    journal, rules = Journal(), Rules(account=account)
    settlement = Settlement(Meter(journal), Metrics(), RequestLog(lambda _: None), MemoryStore(time.time))
    for number, given_call in enumerate(calls):
        error, usage, target = given_call["error"], given_call["usage"], given_call["tried"]
        made = call(f"req-{number}", tried=None)
        made.principal, made.model, made.feature = principal, model(), Feature.CHAT
        made.stream, made.ttft_us, made.tags = given_call["stream"], given_call["ttft_us"], given_call["tags"]
        if given_call["held"] is not None:
            made.ticket = Ticket(id=made.id, rules=rules, tokens=0, held=given_call["held"], at=0.0)
        if target is not None:
            made.attempted(target)
        status = 200 if error is None else error.http_status
        cost = settlement.settle(
            made, usage, status=status, error=error, finish_reason=given_call["finish_reason"]
        )
        (record,) = journal.records[number:]
        whole = 0 if target is OWN else cost_nano(usage, model().price)
        assert cost == (0 if isinstance(error, UpstreamFailed) else whole)
        assert record == UsageRecord(
            id=made.id,
            at=made.arrived_ns,
            key_id=principal.key_id,
            team_id=principal.team_id,
            org_id=principal.org_id,
            user_id=principal.user_id,
            tier=principal.tier,
            feature=Feature.CHAT,
            tags=given_call["tags"],
            account=account if given_call["held"] is not None else None,
            held_nano=given_call["held"] or 0,
            provider_cost_nano=whole,
            route="chat",
            model="m",
            byok=target is OWN,
            provider=None if target is None else "fake",
            target=None if target is None else target.name,
            stream=given_call["stream"],
            usage_source=usage.source,
            cost_nano=cost,
            price_version="p1",
            ttft_us=given_call["ttft_us"],
            duration_us=record.duration_us,
            overhead_us=record.overhead_us,
            status=status,
            error=None if error is None else error.code,
            attempts=0 if target is None else 1,
            finish_reason=given_call["finish_reason"],
            **{name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "source"},
        )


async def test_time_spent_waiting_is_not_overhead() -> None:
    waiting = call()
    waiting.waiting()
    before = waiting.overhead_us()
    while waiting.elapsed_us() < before + 3000:
        pass
    assert waiting.overhead_us() <= before + 200
    waiting.working()
    assert waiting.elapsed_us() >= waiting.overhead_us() + 2000
    waiting.waiting()
    until = waiting.elapsed_us() + 3000
    while waiting.elapsed_us() < until:
        pass
    duration, overhead = waiting.ended()
    assert duration >= overhead + 5000, "it ended while it waited"
    assert waiting.overhead_us() >= overhead
    later = waiting.ended()
    assert later[0] - duration == pytest.approx(later[1] - overhead, abs=2), "the time is ours again"


def test_request_ids_never_repeat() -> None:
    one, other = request_ids(), request_ids()
    made = [one() for _ in range(100)] + [other() for _ in range(100)]
    assert len(set(made)) == 200
