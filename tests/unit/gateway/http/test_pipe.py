"""Sound on its way: passed on as it comes, settled exactly once, cut where it broke."""

import time

import msgspec

from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.call import Call
from gateway.http.pipe import Pipe
from gateway.metrics import Metrics
from gateway.request_log import RequestLog
from gateway.settlement import Settlement
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import UpstreamTimeout
from inference.ir.usage import Usage, UsageSource
from policies.api_keys import Principal
from policies.stores.memory import MemoryStore
from tests.fake_answer import FakeReply, answer
from tests.fake_edge import FakeEdge

PRICE = Price(input=0, output=0, per_million_characters=15_000_000_000, version="p1")


class Stage:
    """A pipe in the middle of everything it talks to."""

    def __init__(self) -> None:
        self.edge = FakeEdge()
        self.records: list[tuple[UsageRecord, bool]] = []
        self.answer = answer()
        self.call = Call("req-1", "speech", self.edge)
        self.call.principal = Principal(key_id="k", key_name="k", team_id="t", team_name="t")
        self.call.model = Model(name="m", kind=Kind.SPEECH, price=PRICE)
        self.call.counted = Usage(characters=100, source=UsageSource.COUNTED)
        self.call.attempted(self.answer.deployment)
        settlement = Settlement(Meter(self), Metrics(), RequestLog(lambda _: None), MemoryStore(time.time))
        self.pipe = Pipe(self.call, self.answer, settlement=settlement)
        self.edge.start(200, [])
        self.pipe.start()

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        """The journal: what was recorded, and whether the client had seen the end by then."""
        self.records.append((msgspec.json.decode(payload, type=UsageRecord), self.edge.finished))
        return True

    @property
    def reply(self) -> FakeReply:
        assert isinstance(self.answer.reply, FakeReply)
        return self.answer.reply

    def only(self) -> UsageRecord:
        """The one record; the load is given back, and nobody watches any longer."""
        assert len(self.records) == 1
        assert self.pipe.done.done()
        assert self.answer.deployment.load.in_flight == 0
        assert self.edge.watcher is None
        return self.records[0][0]


async def test_it_is_recorded_before_the_client_can_see_the_end() -> None:
    stage = Stage()
    stage.pipe.data(b"a")
    stage.pipe.data(b"b")
    assert stage.edge.written == [b"a", b"b"]
    stage.pipe.end()
    stage.pipe.end()
    assert stage.edge.finished
    assert stage.records[0][1] is False
    record = stage.only()
    assert (record.characters, record.cost_nano, record.status) == (100, 1_500_000, 200)
    assert record.ttft_us is not None


async def test_an_upstream_that_breaks_off_cuts_the_client_and_costs_nothing() -> None:
    stage = Stage()
    stage.pipe.data(b"a")
    stage.pipe.failed(UpstreamTimeout("late", code="upstream_timeout_idle"))
    stage.pipe.failed(UpstreamTimeout("late"))
    assert stage.edge.aborted
    assert not stage.edge.finished
    record = stage.only()
    assert (record.error, record.status, record.cost_nano) == ("upstream_timeout_idle", 504, 0)


async def test_a_client_that_leaves_pays_once_something_was_said() -> None:
    for said, cost in ((b"a", 1_500_000), (b"", 0)):
        stage = Stage()
        if said:
            stage.pipe.data(said)
        stage.pipe.client_gone()
        stage.pipe.client_gone()
        assert stage.reply.did == ["abort"]
        record = stage.only()
        assert (record.error, record.cost_nano) == ("client_closed_request", cost)


async def test_a_client_that_leaves_may_let_it_run_on() -> None:
    stage = Stage()
    stage.call.drain = True
    stage.pipe.data(b"a")
    stage.pipe.client_gone()
    assert not stage.records
    stage.pipe.end()
    record = stage.only()
    assert (record.error, record.cost_nano) == ("client_closed_request", 1_500_000)


async def test_a_slow_client_holds_the_upstream_back() -> None:
    stage = Stage()
    stage.pipe.client_paused()
    stage.pipe.client_resumed()
    assert stage.reply.did == ["pause", "resume"]


async def test_a_process_that_goes_down_says_so_in_its_record() -> None:
    stage = Stage()
    stage.pipe.stop()
    stage.pipe.stop()
    assert stage.reply.did == ["abort"]
    assert stage.edge.aborted
    assert stage.only().error == "shutting_down"
