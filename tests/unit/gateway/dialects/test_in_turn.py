"""Calls told in turns, put one after the other."""

from collections.abc import Sequence

from msgspec import Raw

from gateway.dialects.in_turn import InTurn
from inference.ir.completion import Finish
from inference.ir.content import Family
from inference.ir.errors import UpstreamFailed
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Ended,
    Event,
    Extra,
    Failed,
    LogProbs,
    Sealed,
    TextDelta,
)

END = Ended(finish=Finish.TOOL_CALLS)


def began(block: int) -> CallBegan:
    return CallBegan(id=f"c{block}", name="f", block=block)


def told(events: Sequence[Event]) -> list[Event]:
    """One event at a time, as a slow stream has them."""
    turn = InTurn()
    return [each for event in events for each in turn.order([event])] + list(turn.rest())


def test_pieces_that_alternate_come_call_by_call_and_none_is_lost() -> None:
    given: list[Event] = [began(n) for n in range(3)]
    given += [CallDelta(piece, n) for piece in ('{"x"', ":", "1}") for n in range(3)]
    found = told([*given, END])
    assert [getattr(each, "block", None) for each in found] == [0] * 4 + [1] * 4 + [2] * 4 + [None]
    assert sorted(map(repr, found)) == sorted(map(repr, [*given, END]))


def test_a_later_call_is_let_go_as_soon_as_the_one_before_it_is_whole() -> None:
    turn = InTurn()
    assert len(turn.order([began(0), CallDelta('{"a":', 0), began(1), CallDelta("{", 1)])) == 2
    assert turn.order([CallDelta('"}"', 0)]) == [CallDelta('"}"', 0)]
    assert turn.order([CallDelta("}", 0)]) == [CallDelta("}", 0), began(1), CallDelta("{", 1)]
    assert turn.order([CallDelta("}", 1)]) == [CallDelta("}", 1)]


def test_calls_one_after_the_other_wait_for_nothing() -> None:
    turn = InTurn()
    given: list[Event] = [began(0), CallDelta("{}", 0), began(1), CallDelta('{"a":1', 1)]
    assert [list(turn.order([each])) for each in given] == [[each] for each in given]


def test_what_waits_ends_with_the_answer_or_its_failure_before_them() -> None:
    for end in (END, Failed(UpstreamFailed("Broken."))):
        given: list[Event] = [began(0), began(1), CallDelta("{}", 1)]
        assert told([*given, end]) == [*given, end]


def test_text_after_a_call_under_way_waits_with_its_log_probabilities() -> None:
    logs = LogProbs(Raw(b"{}"))
    turn = InTurn()
    assert turn.order([began(0), CallDelta("{", 0), TextDelta("a", 1), logs]) == [began(0), CallDelta("{", 0)]
    assert turn.order([CallDelta("}", 0)]) == [CallDelta("}", 0), TextDelta("a", 1), logs]


def test_what_belongs_to_no_item_and_other_choices_pass() -> None:
    turn = InTurn()
    turn.order([began(0), CallDelta("{", 0)])
    passing: list[Event] = [
        Began(family=Family.OPENAI_CHAT),
        Extra(Family.OPENAI_CHAT, {}),
        TextDelta("another", 3, 1),
        Ended(finish=Finish.STOP, choice=1),
        Sealed(0, signature="s", issuer=Family.GEMINI),
    ]
    assert turn.order(passing) == passing
