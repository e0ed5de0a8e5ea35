"""A bid: what it may cost is worked out of the request when somebody counts it, and anew for another model."""

from pathlib import Path

import pytest

import gateway.bid
from gateway.bid import Bid
from gateway.call import Call
from gateway.dialects.dialect import Request
from inference.ir.tiers import Feature
from policies.ceiling import Ask, ceiling
from tests.admission_world import Counting, principal, table_in
from tests.fake_edge import FakeEdge

REQUEST = Request(
    model="dear", stream=False, options=None, hints=False, prompt=b"x" * 40, max_output=7, answers=2
)


async def test_the_most_it_can_cost_is_of_where_it_goes(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    dear, cheap = table.routes["dear"], table.routes["cheap"]
    call = Call("r", "chat", FakeEdge())
    bid = Bid(call, table, principal(), REQUEST, dear, feature=Feature.CHAT, own_key=False)
    assert bid.ask == Ask(prompt=10, max_output=7, answers=2)
    assert bid.most == ceiling(dear.model, bid.ask)
    shorter = ceiling(dear.model, Ask(prompt=10, max_output=3))
    bid.lower(shorter, 3)
    assert (bid.most, bid.cut) == (shorter, 3)
    bid.turn_to(cheap)
    assert (bid.route, bid.most, bid.cut) == (cheap, ceiling(cheap.model, bid.ask), None)


async def test_what_no_rule_counts_is_not_worked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(table_in(tmp_path))

    def counted(prompt: bytes) -> int:
        raise AssertionError(prompt)

    monkeypatch.setattr(gateway.bid, "estimate_input", counted)
    call, admitted = await counting.ask(principal(), "endless")
    assert (admitted.max_output, admitted.endless) == (None, False)
    assert call.ticket is not None
    assert (call.ticket.tokens, call.ticket.held) == (0, 0)
