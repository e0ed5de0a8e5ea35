import pytest

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import Usage, UsageSource
from inference.providers.anthropic.lanes import CountLane
from inference.providers.gemini.count_lane import CountLane as GeminiCountLane
from inference.providers.openai.responses_count import InputTokensLane
from inference.providers.vertex.claude import CountLane as VertexCountLane
from inference.wire import Lane

LANES: tuple[Lane, ...] = (CountLane("/x"), GeminiCountLane(), InputTokensLane("/x"), VertexCountLane())


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: f"{type(lane).__module__}")
def test_a_count_is_reported_to_have_taken_nothing(lane: Lane) -> None:
    told = lane.completion(b'{"input_tokens":671,"usage":{"input_tokens":671,"output_tokens":1},"output":[]}')
    assert told.usage == Usage(source=UsageSource.REPORTED)
    assert (told.finish_reason, told.text, told.body) == (None, 0, None)


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: f"{type(lane).__module__}")
@pytest.mark.parametrize("body", [b"[]", b"<html>", b""])
def test_what_is_no_object_is_no_count(lane: Lane, body: bytes) -> None:
    with pytest.raises(UpstreamGarbled, match="not valid JSON"):
        lane.completion(body)
