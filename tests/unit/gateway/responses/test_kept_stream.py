"""A stream on its way out: the response's id is the gateway's, pieces are untouched, the end is kept."""

import json
from typing import Any

from msgspec import Raw

from gateway.dialects.openai_responses.voice import ResponsesVoice
from gateway.responses.kept_stream import KeptStream
from inference.ir.errors import UpstreamTimeout
from inference.ir.usage import Usage
from inference.providers.openai.responses_lane import ResponsesLane


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


HEAD = event("response.created", response={"id": "theirs"}, sequence_number=0)
PIECE = event("response.output_text.delta", delta='a "response": {', item_id="m")
END = event("response.completed", response={"id": "theirs", "status": "completed"})


class Keeper:
    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def stamped(self, response: bytes | Raw) -> bytes:
        return bytes(response).replace(b"theirs", b"ours")

    def keep(self, response: bytes) -> None:
        self.kept.append(response)


def stream() -> tuple[KeptStream, Keeper]:
    tap = ResponsesLane("/responses").stream(None)
    keeper = Keeper()
    return KeptStream(tap, ResponsesVoice(tap), keeper), keeper


def test_only_what_carries_the_response_is_touched() -> None:
    kept, keeper = stream()
    first = kept.feed(HEAD)
    assert b'"ours"' in first
    assert b"theirs" not in first
    assert first.startswith(b"event: response.created\ndata: {")
    assert kept.feed(PIECE) == PIECE
    assert kept.feed(END) == b""
    assert kept.done
    assert keeper.kept == []
    end = kept.finish()
    assert b'"ours"' in end
    assert json.loads(keeper.kept[0]) == {"id": "ours", "status": "completed"}


def test_head_and_pieces_in_one_read() -> None:
    kept, keeper = stream()
    out = kept.feed(HEAD + event("response.output_item.added", item={}) + PIECE + END)
    assert out.endswith(PIECE)
    assert b"theirs" not in out
    assert kept.finish()
    assert len(keeper.kept) == 1
    assert (kept.events, kept.finish_reason) == (3, "stop")


def test_a_stream_the_gateway_ends_is_kept_as_incomplete() -> None:
    kept, keeper = stream()
    kept.feed(HEAD + PIECE)
    cut = kept.cut(Usage(input_tokens=3, output_tokens=4))
    assert b"theirs" not in cut
    told = json.loads(keeper.kept[0])
    assert (told["id"], told["status"], told["usage"]["total_tokens"]) == ("ours", "incomplete", 7)


def test_a_stream_that_broke_is_not_kept() -> None:
    kept, keeper = stream()
    kept.feed(HEAD + PIECE)
    told = json.loads(kept.broken(UpstreamTimeout("Too slow.")).split(b"data: ")[1])
    assert (told["type"], told["code"], told["error"]["message"]) == (
        "error",
        "upstream_timeout",
        "Too slow.",
    )
    assert kept.end == b""
    assert keeper.kept == []


def test_half_of_a_character_does_not_hide_the_end() -> None:
    kept, keeper = stream()
    kept.feed(
        HEAD + event("response.completed", response={"id": "theirs", "status": "completed", "x": "\ud83d"})
    )
    assert kept.done
    assert b'"ours"' in kept.finish()
    assert json.loads(keeper.kept[0])["x"] == "\ufffd"
