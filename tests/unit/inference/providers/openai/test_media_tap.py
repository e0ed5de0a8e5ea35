"""Streams of sound, transcripts and pictures: passed on whole, however they are cut, their end held back."""

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage
from inference.providers.openai.media_tap import MediaTap
from tests.media_peers import SPEECH_EVENTS, TRANSCRIPT_EVENTS

PICTURES = (
    b'event: image_edit.partial_image\ndata: {"type":"image_edit.partial_image","b64_json":"AA"}\n\n'
    b'event: image_edit.completed\ndata: {"type":"image_edit.completed","b64_json":"AAAA","usage":{"input_tokens":9,'
    b'"output_tokens":300,"input_tokens_details":{"image_tokens":4},"output_tokens_details":{"image_tokens":299}}}\n\n'
)


def passed(stream: bytes, *cuts: int) -> tuple[bytes, bytes, MediaTap]:
    """What goes through before the end, what the end adds, and the tap."""
    tap = MediaTap()
    ends = [*cuts, len(stream)]
    out = b"".join(tap.feed(stream[start:end]) for start, end in zip([0, *cuts], ends, strict=True))
    return out, tap.finish(), tap


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "stream", [SPEECH_EVENTS, TRANSCRIPT_EVENTS, PICTURES, SPEECH_EVENTS + b"data: [DONE]\n\n"]
)
def test_cut_anywhere_it_is_the_same(stream: bytes, line_end: bytes) -> None:
    stream = stream.replace(b"\n", line_end)
    _, _, whole = passed(stream)
    for at in range(1, len(stream)):
        out, end, tap = passed(stream, at)
        assert out + end == stream, at
        assert tap.usage() == whole.usage()
        assert tap.finish_reason == "stop"
        assert b'.done"' not in out or stream.endswith(b"[DONE]" + line_end * 2)
        assert b'.completed"' not in out


def test_what_they_took() -> None:
    assert passed(SPEECH_EVENTS)[2].usage().output_tokens == 40
    told = passed(TRANSCRIPT_EVENTS)[2].usage()
    assert (told.input_tokens, told.audio_input_tokens, told.output_tokens) == (14, 14, 4)
    made = passed(PICTURES)[2].usage()
    assert made == Usage(
        input_tokens=9,
        output_tokens=300,
        image_input_tokens=4,
        image_output_tokens=299,
        images=1,
        source=made.source,
    )


def test_two_pictures_are_two() -> None:
    assert passed(PICTURES * 2)[2].usage().images == 2


def test_a_stream_without_its_end_took_nothing_that_is_known() -> None:
    _, _, tap = passed(PICTURES[:100])
    assert (tap.finish_reason, tap.usage(), tap.estimate()) == (None, NO_USAGE, None)


def test_an_error_inside_is_known_for_one() -> None:
    out, end, tap = passed(b'data: {"error":{"message":"no"}}\n\n')
    assert out + end == tap.upstream_error == b'data: {"error":{"message":"no"}}\n\n'
    assert passed(b'data: {"type":"error","code":"x"}\n\n')[2].upstream_error


def test_a_half_event_is_forgotten_when_the_stream_breaks() -> None:
    tap = MediaTap()
    assert tap.feed(b'data: {"type":"speech.audio.delta","audio":"AA') == b""
    tap.drop_tail()
    assert tap.finish() == b""


def test_an_event_that_never_ends() -> None:
    tap = MediaTap()
    with pytest.raises(UpstreamGarbled):
        for _ in range(70):
            tap.feed(b"a" * 1024 * 1024)
