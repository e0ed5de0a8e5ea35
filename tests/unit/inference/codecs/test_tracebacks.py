"""Tracebacks are cut off and nothing else is, in plain words and in JSON."""

import json

import pytest

from inference.codecs.tracebacks import without_traceback

TRACE = (
    "Traceback (most recent call last):\n"
    '  File "/srv/engine.py", line 12, in run\n    step("}", ["]"])\n'
    '  File "/srv/x", line 3, in <lambda>, "x"\nValueError: \\d "quoted"\n\n'
    "During handling of the above exception, another exception occurred:\n\n"
    "Traceback (most recent call last):\n  File \"/srv/y.py\", line 1\nKeyError: 'x'\n"
)
FAILED = "The upstream failed in its own code."


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (TRACE, FAILED),
        (f"\n {TRACE}", FAILED),
        (f"Engine died: {TRACE}", "Engine died"),
        (f'It said "no"\n\n{TRACE}', 'It said "no"'),
        (" ".join(f"Worker 3 failed. {TRACE}".split()), "Worker 3 failed."),
        (f"  + Exception Group {TRACE}", FAILED),
    ],
)
def test_a_traceback_is_cut_off(words: str, left: str) -> None:
    assert without_traceback(words.encode()).decode() == left
    body = {"error": {"detail": [words, words], "message": words, "code": 7}, "after": "]"}
    for written in (json.dumps(body), json.dumps(body, indent=1), json.dumps(body, separators=(",", ":"))):
        cut = {"error": {"detail": [left, left], "message": left, "code": 7}, "after": "]"}
        assert json.loads(without_traceback(written.encode())) == cut
    assert json.loads(without_traceback(json.dumps(words).encode())) == left


def test_events_stay_events() -> None:
    events = f'data: {{"x":1}}\n\nevent: error\ndata: {json.dumps({"error": {"message": TRACE}})}\n\ndata: [DONE]\n\n'
    told = json.dumps({"error": {"message": FAILED}})
    assert (
        without_traceback(events.encode()).decode()
        == f'data: {{"x":1}}\n\nevent: error\ndata: {told}\n\ndata: [DONE]\n\n'
    )


@pytest.mark.parametrize(
    "words", ["", "A traceback is in the log.", "Traceback: see the log", '{"a":"File \\"x\\""}']
)
def test_everything_else_is_left(words: str) -> None:
    assert without_traceback(words.encode()).decode() == words
