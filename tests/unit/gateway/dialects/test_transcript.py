"""Transcripts in every form, from as much as a provider tells."""

import json
from typing import Any

from gateway.dialects.transcript import cues, written
from inference.ir.transcription import Heard, TranscriptionRequest, TranscriptionResult

WORDS = tuple(
    Heard(text=text, start=at, end=at + 0.5)
    for at, text in enumerate(
        ["One", "two.", "Three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
)
TOLD = TranscriptionResult(text="One two. Three", language="en", duration=9.5, words=WORDS)


def asked(wanted: str = "json", **fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(
        model="m", audio=b"", filename="a", content_type="audio/wav", format=wanted, **fields
    )


def test_words_are_gathered_into_lines_at_sentences_and_after_six_seconds() -> None:
    lines = cues(TOLD)
    assert [line.text for line in lines] == ["One two.", "Three four five six seven eight", "nine ten"]
    assert [(line.start, line.end) for line in lines] == [(0, 1.5), (2, 7.5), (8, 9.5)]


def test_segments_are_believed_and_text_alone_is_one_cue() -> None:
    own = (Heard(text="All", start=1, end=2),)
    assert cues(TranscriptionResult(text="All", segments=own, words=WORDS)) == own
    assert cues(TranscriptionResult(text="All", duration=3)) == (Heard(text="All", start=0, end=3),)
    assert cues(TranscriptionResult(text="")) == ()


def test_clocks_past_an_hour() -> None:
    late = TranscriptionResult(text="a", segments=(Heard(text=" a ", start=3661.0005, end=3662.9999),))
    assert written(late, asked("srt")).body == b"1\n01:01:01,000 --> 01:01:03,000\na\n\n"
    assert written(late, asked("vtt")).body == b"WEBVTT\n\n01:01:01.000 --> 01:01:03.000\na\n\n"


def test_verbose_has_what_was_asked_for() -> None:
    plain = json.loads(written(TOLD, asked("verbose_json")).body)
    assert "words" not in plain
    assert len(plain["segments"]) == 3
    assert plain["usage"] == {"type": "duration", "seconds": 9.5}
    words = json.loads(written(TOLD, asked("verbose_json", words=True, translate=True)).body)
    assert "segments" not in words
    assert words["words"][0] == {"word": "One", "start": 0.0, "end": 0.5}
    assert words["task"] == "translate"


def test_json_and_events() -> None:
    assert json.loads(written(TranscriptionResult(text="a"), asked()).body) == {"text": "a"}
    streamed = written(TOLD, asked(stream=True))
    assert streamed.content_type.startswith("text/event-stream")
    assert [line[:5] for line in streamed.body.split(b"\n\n")] == [b"data:", b"data:", b""]
