import json

import pytest

from inference.codecs.gemini.seals import seal
from inference.codecs.seal import Seal
from inference.ir.content import Family
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.gemini.lanes import GeminiLane, GeminiTap
from inference.wire import Original
from tests.gemini_peer import answer, event


def test_paths() -> None:
    lane = GeminiLane()
    assert lane.path("gemini-x", stream=False) == "/models/gemini-x:generateContent"
    assert lane.path("a b/c", stream=True) == "/models/a%20b/c:streamGenerateContent?alt=sse"
    assert lane.path("tunedModels/t", stream=False) == "/tunedModels/t:generateContent"
    assert (
        GeminiLane("/publishers/google").path("m", stream=False)
        == "/publishers/google/models/m:generateContent"
    )


def patched(body: bytes, *, hints: bool = False, max_output: int | None = None) -> bytes:
    return GeminiLane().request(
        Original(body=body, model="a", stream=False, hints=hints, max_output=max_output), "b"
    )


def test_only_what_must_change_is_changed() -> None:
    body = b'{ "contents" : [ ], "novelty": 1e2 }'
    assert patched(body) is body
    assert patched(b'{"contents":[ 1 ],"aspendos":{}}', hints=True) == b'{"contents":[ 1 ]}'
    assert patched(b'{"model":"models/a","contents":[]}') == b'{"contents":[]}'
    limited = patched(b'{"contents":[],"generation_config":{"max_output_tokens":9,"x":1}}', max_output=3)
    assert json.loads(limited) == {"contents": [], "generation_config": {"x": 1, "maxOutputTokens": 3}}
    assert json.loads(patched(b"{}", max_output=3)) == {"generationConfig": {"maxOutputTokens": 3}}


def test_what_others_sealed_stays_here() -> None:
    sealed = seal(Seal(issuer=Family.ANTHROPIC, signature="s"))
    thought = {"text": "why", "thought": True, "thoughtSignature": sealed}
    body = {"contents": [{"role": "model", "parts": [thought, {"text": "So."}]}], "novelty": 1}
    left = json.loads(patched(json.dumps(body).encode()))
    assert left == {"contents": [{"role": "model", "parts": [{"text": "So."}]}], "novelty": 1}


def test_the_end_is_kept_back_until_the_upstream_has_ended() -> None:
    tap = GeminiTap()
    first, last, after = event([{"text": "a"}]), event([{"text": "b"}], "STOP"), event([])
    assert tap.feed(first + last[:20]) == first
    assert tap.feed(last[20:]) == b""
    assert tap.finish_reason == "stop"
    assert tap.usage().source is UsageSource.REPORTED
    assert tap.feed(after) == last  # so it was not the end
    assert tap.finish() == after
    assert tap.done


def test_a_stream_cut_short_is_not_done_and_is_counted_by_its_text() -> None:
    tap = GeminiTap()
    tap.feed(event([{"text": "a" * 400}]))
    assert tap.finish() == b""
    assert not tap.done
    assert tap.usage().source is UsageSource.NONE
    assert tap.estimate() == 100


def test_errors_and_refusals_within_a_stream_are_seen() -> None:
    tap = GeminiTap()
    said = b'data: {"error": {"code": 503, "message": "overloaded"}}\r\n\r\n'
    assert tap.feed(said) == said
    assert tap.upstream_error
    tap = GeminiTap()
    tap.feed(b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n')
    tap.finish()
    assert (tap.finish_reason, tap.done) == ("content_filter", True)


def test_whole_answers() -> None:
    body = answer([{"functionCall": {"name": "f", "args": {}}}])
    measured = GeminiLane().completion(json.dumps(body).encode())
    assert (measured.usage.output_tokens, measured.finish_reason) == (8, "tool_calls")
    del body["usageMetadata"]
    body["candidates"][0]["content"]["parts"] = [{"text": "é"}]
    assert GeminiLane().completion(json.dumps(body).encode()).text == 2
    with pytest.raises(UpstreamGarbled):
        GeminiLane().completion(b"<html>")


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"candidates":[]}', b'{"usageMetadata":{"promptTokenCount":3}}', b'{"promptFeedback":{}}'],
)
def test_an_answer_without_candidates_says_why_or_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        GeminiLane().completion(body)
    refused = GeminiLane().completion(b'{"promptFeedback":{"blockReason":"SAFETY"}}')
    assert refused.finish_reason == "content_filter"
