"""The relay between two connections: settled exactly once, in the right order, whoever leaves first."""

import asyncio
import time

import msgspec
import pytest

from billing.meter import Meter
from billing.usage import HoldRecord, UsageRecord
from gateway.attempt import Attempt
from gateway.call import Call
from gateway.dialects.dialect import Request
from gateway.dialects.openai_errors import OpenAIVoice
from gateway.http.stream import Relay
from gateway.metrics import Metrics
from gateway.request_log import RequestLog
from gateway.settlement import Settlement
from inference.codecs.sse import StreamTap
from inference.ir.errors import UpstreamTimeout
from inference.wire import StreamOptions
from policies.api_keys import Principal
from policies.stores.memory import MemoryStore
from policies.stores.step import Rules, Ticket
from tests.fake_answer import FakeReply, answer, model
from tests.fake_edge import FakeEdge

EVENT = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


class Journal:
    """Keeps records and what the client had seen when each was written."""

    def __init__(self, edge: FakeEdge) -> None:
        self.edge = edge
        self.records: list[UsageRecord] = []
        self.holds: list[HoldRecord] = []
        self.seen: list[bytes] = []

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        if payload.startswith(b'{"hold"'):
            self.holds.append(msgspec.json.decode(payload, type=HoldRecord))
            return True
        self.records.append(msgspec.json.decode(payload, type=UsageRecord))
        self.seen.append(self.edge.text)
        return True


class Stage:
    """A relay in the middle of everything it talks to."""

    def __init__(self, wire: str = "openai", *, options: StreamOptions | None = None) -> None:
        self.edge = FakeEdge()
        self.journal = Journal(self.edge)
        self.lines: list[bytes] = []
        self.answer = answer(wire)
        self.call = Call("req-1", "chat", self.edge)
        self.call.principal = Principal(key_id="k", key_name="k", team_id="t", team_name="t")
        self.call.model = model()
        self.call.stream = True
        self.call.prompt = b"x" * 40
        self.call.attempted(self.answer.deployment)
        self.store = MemoryStore(time.time)
        self.settlement = Settlement(
            Meter(self.journal), Metrics(), RequestLog(self.lines.append), self.store
        )
        self.tap = self.answer.deployment.lanes["chat"].stream(options)
        request = Request(model="m", stream=True, options=options, hints=False, prompt=b"")
        self.voice = OpenAIVoice(self.tap, request)
        self.relay = Relay(self.call, self.answer, self.tap, self.voice, settlement=self.settlement)
        self.relay.start()

    def says(self, event: bytes, *, short: bool) -> None:
        """One event from upstream, in one chunk: to the shortcut first, where there is to be one."""
        assert isinstance(self.tap, StreamTap)
        if not short or not self.tap.shortcut.take(b"%x\r\n%b\r\n" % (len(event), event)):
            self.relay.data(event)

    async def metered(self, balance: int, held: int, *, endless: bool = True, short: bool = False) -> None:
        """Begin anew, as a stream without an end that is paid from an account."""
        rules = Rules(account="acct_1")
        await self.store.load("acct_1", balance, epoch=await self.store.epoch("acct_1"))
        ticket = await self.store.admit("req-1", rules, tokens=0, amount=held)
        assert isinstance(ticket, Ticket)
        self.call.ticket = ticket
        self.relay = Relay(
            self.call,
            self.answer,
            self.tap,
            self.voice,
            settlement=self.settlement,
            purse=self.settlement.purse(self.call, endless=endless),
            shortcut=self.tap.shortcut if short and isinstance(self.tap, StreamTap) else None,
        )
        self.relay.start()

    @property
    def reply(self) -> FakeReply:
        assert isinstance(self.answer.reply, FakeReply)
        return self.answer.reply

    @property
    def record(self) -> UsageRecord:
        assert len(self.journal.records) == 1
        return self.journal.records[0]


async def test_the_record_is_written_before_the_client_can_see_the_end() -> None:
    stage = Stage()
    for piece in (EVENT, STOP, USAGE + DONE):
        stage.relay.data(piece)
    assert stage.journal.seen == [EVENT + STOP]
    stage.relay.end()
    assert stage.relay.done.done()
    assert stage.edge.finished
    assert stage.edge.text.startswith(EVENT + STOP + b": x-aspendos-cost: 0.000016 ")
    assert stage.edge.text.endswith(DONE)
    assert USAGE not in stage.edge.text
    assert (stage.record.input_tokens, stage.record.output_tokens, stage.record.cost_nano) == (
        10,
        3,
        16_000,
    )
    assert (stage.record.status, stage.record.finish_reason, stage.record.usage_source) == (
        200,
        "stop",
        "reported",
    )
    assert stage.answer.deployment.load.in_flight == 0


async def test_the_end_does_not_wait_for_the_upstream_to_close() -> None:
    stage = Stage()
    stage.relay.data(EVENT + STOP + USAGE + DONE)
    assert stage.edge.text.endswith(DONE)
    assert stage.record.status == 200


async def test_a_client_that_leaves_stops_the_upstream_and_is_metered_by_count() -> None:
    stage = Stage()
    stage.relay.data(EVENT * 4)
    stage.relay.client_gone()
    assert stage.reply.did == ["abort"]
    assert (stage.record.status, stage.record.error) == (499, "client_closed_request")
    assert (stage.record.input_tokens, stage.record.output_tokens) == (10, 3)
    assert stage.record.usage_source == "counted"
    stage.relay.failed(UpstreamTimeout("late"))
    stage.relay.end()
    assert len(stage.journal.records) == 1
    assert stage.answer.deployment.load.in_flight == 0


async def test_a_vllm_worker_says_exactly_what_was_delivered() -> None:
    stage = Stage("vllm")
    event = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n'
    stage.relay.data(event % 1 + event % 2)
    stage.relay.client_gone()
    assert (stage.record.input_tokens, stage.record.output_tokens) == (7, 2)
    assert stage.record.usage_source == "continuous"
    assert b"usage" not in stage.edge.text


async def test_what_never_left_for_a_client_is_not_charged() -> None:
    stage = Stage("vllm")
    event = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n'
    stage.edge.waiting = 0
    for token in range(1, 1001):
        stage.relay.data(event % token)
    a_token = len(stage.edge.text) // 1000
    stage.edge.waiting = 100 * a_token - 1
    stage.relay.client_gone()
    assert (stage.record.input_tokens, stage.record.output_tokens) == (7, 900)
    assert stage.record.usage_source == "counted"


async def test_a_pause_is_where_the_client_was() -> None:
    stage = Stage("vllm")
    event = b'data: {"choices":[{"delta":{"content":"%b"}}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n'
    stage.edge.waiting = 0
    stage.relay.data(event % (b"a" * 10_000, 1))
    stage.relay.client_paused()
    for token in range(2, 101):
        stage.relay.data(event % (b"a", token))
    stage.edge.waiting = len(stage.edge.text) - 10_200
    stage.relay.client_gone()
    assert 1 <= stage.record.output_tokens <= 5  # by bytes alone it would be two thirds


async def test_where_events_are_not_alike_a_look_now_and_then_tells_them_apart() -> None:
    stage = Stage("vllm")
    event = b'data: {"choices":[{"delta":{"content":"%b"}}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n'
    stage.edge.waiting = 0
    stage.relay.data(event % (b"", 0))
    stage.relay.data(event % (b"a" * 40_000, 1))
    for token in range(2, 402):
        stage.relay.data(event % (b"a", token))
    stage.edge.waiting = (len(stage.edge.text) - 40_000) // 2
    stage.relay.client_gone()
    assert 195 <= stage.record.output_tokens <= 205  # by bytes alone it would be more than three quarters


async def test_a_quick_reader_pays_for_all_it_was_sent() -> None:
    stage = Stage()
    stage.edge.waiting = 0
    for _ in range(1000):
        stage.relay.data(EVENT)
    stage.relay.client_gone()
    assert stage.record.output_tokens == 999


async def test_nothing_delivered_costs_nothing() -> None:
    stage = Stage()
    stage.relay.client_gone()
    assert (stage.record.cost_nano, stage.record.usage_source) == (0, "none")


async def test_an_upstream_that_dies_becomes_an_error_inside_the_stream() -> None:
    stage = Stage()
    stage.relay.data(EVENT + EVENT + EVENT[:10])
    stage.relay.failed(UpstreamTimeout("idle for 1 s", code="upstream_timeout_idle"))
    head, error, rest = stage.edge.text.partition(b'data: {"error":')
    assert head == EVENT + EVENT
    assert error
    assert b'"code":"upstream_timeout_idle"' in rest
    assert rest.endswith(DONE)
    assert stage.edge.finished
    assert (stage.record.status, stage.record.error) == (504, "upstream_timeout_idle")
    assert stage.record.output_tokens == 1
    assert stage.call.failures == [
        Attempt(provider="fake", deployment="real@127.0.0.1:1", code="upstream_timeout_idle")
    ]


async def test_a_stream_that_stops_short_is_not_passed_off_as_whole() -> None:
    stage = Stage()
    stage.relay.data(EVENT)
    stage.relay.end()
    assert b'"code":"upstream_garbled"' in stage.edge.text
    assert stage.record.status == 502


async def test_a_stream_without_done_but_with_a_reason_is_whole() -> None:
    stage = Stage()
    stage.relay.data(EVENT + STOP)
    stage.relay.end()
    assert stage.record.status == 200
    assert b"error" not in stage.edge.text


async def test_an_upstreams_own_error_event_is_passed_on_and_recorded() -> None:
    stage = Stage()
    stage.relay.data(EVENT + b'data: {"error":{"message":"engine died"}}\n\n' + DONE)
    stage.relay.end()
    assert b"engine died" in stage.edge.text
    assert (stage.record.status, stage.record.error) == (502, "upstream_stream_error")


async def test_a_client_that_hangs_up_on_an_upstreams_error_is_not_blamed() -> None:
    stage = Stage()
    stage.relay.data(b'data: {"error":{"message":"bad schema","code":400}}\n\n')
    stage.relay.client_gone()
    assert (stage.record.status, stage.record.error) == (502, "upstream_stream_error")
    assert (stage.record.output_tokens, stage.record.cost_nano) == (0, 0)


async def test_after_the_end_was_sent_nothing_more_is_written() -> None:
    stage = Stage()
    stage.relay.data(EVENT + STOP + USAGE + DONE)
    text = stage.edge.text
    stage.relay.failed(UpstreamTimeout("the upstream never closed"))
    assert stage.edge.text == text
    assert stage.edge.finished


async def test_a_slow_client_pauses_the_upstream() -> None:
    stage = Stage()
    assert stage.edge.watcher is stage.relay
    stage.relay.client_paused()
    stage.relay.client_resumed()
    assert stage.reply.did == ["pause", "resume"]


async def test_a_drain_that_runs_out_says_so_in_the_stream() -> None:
    stage = Stage()
    stage.relay.data(EVENT)
    stage.relay.stop()
    assert b'"code":"shutting_down"' in stage.edge.text
    assert stage.reply.did == ["abort"]
    assert stage.record.status == 503
    await asyncio.wait_for(stage.relay.done, 10)


async def test_time_to_first_token_is_taken_once() -> None:
    stage = Stage()
    stage.relay.data(EVENT)
    first = stage.call.ttft_us
    assert first is not None
    stage.relay.data(EVENT)
    assert stage.call.ttft_us == first


@pytest.mark.parametrize("cut", range(1, len(USAGE + DONE)))
async def test_wherever_the_end_is_cut_the_record_comes_first(cut: int) -> None:
    stage = Stage()
    end = USAGE + DONE
    for piece in (EVENT + STOP + end[:cut], end[cut:]):
        stage.relay.data(piece)
    stage.relay.end()
    assert b"[DONE]" not in stage.journal.seen[0]
    assert stage.record.output_tokens == 3
    assert stage.edge.text.endswith(DONE)


async def test_a_fault_of_our_own_cuts_both_sides_and_is_settled_and_told() -> None:
    stage = Stage()
    stage.relay.data(EVENT + EVENT)

    def broken(chunk: bytes) -> None:
        raise RuntimeError("a bug")

    stage.edge.write = broken
    stage.relay.data(EVENT)
    with pytest.raises(RuntimeError, match="a bug"):
        await stage.relay.done
    assert stage.reply.did == ["abort"]
    assert stage.edge.aborted
    assert (stage.record.status, stage.record.error) == (500, "internal_error")
    assert stage.record.output_tokens > 0
    assert stage.answer.deployment.load.in_flight == 0


async def settle_down() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


WORDS = (
    b'data: {"id":"c1","object":"chat.completion.chunk","model":"real",'
    b'"choices":[{"index":0,"delta":{"content":"ab"}}]}\n\n'
)
"""One token, 2,000 nano-USD."""


@pytest.mark.parametrize("short", [False, True])
async def test_a_hold_that_is_used_up_grows_while_the_credit_allows(short: bool) -> None:
    stage = Stage()
    await stage.metered(balance=10_000_000, held=100_000, short=short)
    for _ in range(400):
        stage.says(WORDS, short=short)
        await settle_down()
    assert stage.call.ticket is not None
    assert stage.call.ticket.held > 400 * 2_000
    assert stage.journal.holds[-1].held_nano == stage.call.ticket.held
    assert stage.reply.did.count("pause") == stage.reply.did.count("resume") > 0
    stage.relay.data(STOP + USAGE + DONE)
    stage.relay.end()
    assert stage.record.cost_nano == 16_000
    assert await stage.store.available("acct_1") == 10_000_000 - 16_000


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("options", [None, StreamOptions(include_usage=True)])
async def test_a_stream_the_credit_does_not_cover_any_more_ends_cleanly(
    options: StreamOptions | None, short: bool
) -> None:
    stage = Stage(options=options)
    await stage.metered(balance=1_500_000, held=100_000, short=short)
    for _ in range(2000):
        if stage.edge.finished:
            break
        stage.says(WORDS, short=short)
        await settle_down()
    assert stage.relay.done.done()
    assert stage.reply.did[-1] == "abort"
    events = [line for line in stage.edge.text.decode().split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    chunks = [msgspec.json.decode(event[6:]) for event in events[:-1]]
    last = chunks[-1] if options is None else chunks[-2]
    assert last["choices"] == [{"index": 0, "finish_reason": "length", "delta": {}}]
    assert (last["id"], last["model"]) == ("c1", "real")
    if options is not None:
        assert chunks[-1]["usage"]["completion_tokens"] == stage.record.output_tokens
    assert b"x-aspendos-stopped" in stage.edge.text
    assert (stage.record.status, stage.record.finish_reason, stage.record.error) == (200, "length", None)
    assert 0 < stage.record.cost_nano <= 1_500_000
    assert await stage.store.available("acct_1") == 1_500_000 - stage.record.cost_nano
    assert stage.answer.deployment.load.in_flight == 0


async def test_a_client_that_leaves_may_have_its_answer_read_to_the_end() -> None:
    stage = Stage()
    stage.call.drain = True
    stage.relay.data(EVENT)
    stage.relay.client_gone()
    assert stage.reply.did == ["resume"]
    stage.relay.data(EVENT + STOP + USAGE + DONE)
    stage.relay.end()
    assert (stage.record.status, stage.record.error) == (499, "client_closed_request")
    assert (stage.record.output_tokens, stage.record.usage_source) == (3, "reported")
    assert stage.record.cost_nano == 16_000


async def test_an_upstream_that_breaks_costs_its_client_nothing() -> None:
    stage = Stage()
    stage.relay.data(EVENT * 4)
    stage.relay.failed(UpstreamTimeout("stalled"))
    assert (stage.record.output_tokens, stage.record.cost_nano) == (3, 0)
    assert stage.record.provider_cost_nano > 0
    assert b"x-aspendos-cost: 0 " in stage.edge.text


async def test_an_upstream_that_ignores_the_limit_is_stopped_where_the_credit_ends() -> None:
    stage = Stage()
    await stage.metered(balance=1_500_000, held=200_000, endless=False)
    for _ in range(2000):
        if stage.edge.finished:
            break
        stage.relay.data(WORDS * 40)
        await settle_down()
    assert stage.record.finish_reason == "length"
    assert stage.record.cost_nano <= 1_500_000
    assert (await stage.store.available("acct_1") or 0) >= 0
