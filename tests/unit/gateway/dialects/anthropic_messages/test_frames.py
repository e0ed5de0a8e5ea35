"""Single events, and the block they belong to."""

import json

from gateway.dialects.anthropic_messages.frames import STOP, Block, ending, frame
from inference.ir.content import Family
from inference.ir.events import CallBegan, CallDelta, ReasoningDelta, Sealed, TextDelta


def test_an_event() -> None:
    assert frame("ping", {}) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert frame("message_stop", {}) == STOP
    assert ending({"stop_reason": None}, {"output_tokens": 1}).endswith(STOP)


def test_a_piece_is_the_prefix_and_a_string() -> None:
    block = Block.text(4, 0)
    piece = block.prefix + b'"x"}}\n\n'
    assert json.loads(piece.partition(b"data: ")[2]) == {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "x"},
    }


def test_only_its_own_pieces_go_on() -> None:
    block = Block.text(4, 0)
    assert block.goes_on(TextDelta("x", 4)) == "x"
    assert block.goes_on(TextDelta("x", 5)) is None
    assert block.goes_on(TextDelta("x", 4, 1)) is None
    assert block.goes_on(ReasoningDelta("x", 4)) is None
    assert Block.thinking(4, 0).goes_on(ReasoningDelta("x", 4, summary=0)) is None


def test_a_call_is_complete_once_its_arguments_are() -> None:
    block = Block.call(0, 0, CallBegan(id="a", name="f"), own=False)
    assert not block.complete
    block.goes_on(CallDelta('{"a":'))
    assert not block.complete
    block.goes_on(CallDelta("1}"))
    assert block.complete


def test_a_signature_is_said_at_the_end() -> None:
    block = Block.thinking(0, 2)
    assert block.stop() == frame("content_block_stop", {"index": 2})
    block.sealed(Sealed(0, 0, "sig", issuer=Family.ANTHROPIC))
    assert b'{"type":"signature_delta","signature":"sig"}' in block.stop()
