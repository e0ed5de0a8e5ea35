"""A transcript in the forms OpenAI's clients may ask for: json, text, srt, vtt, verbose_json, and events. Pure.

(https://platform.openai.com/docs/api-reference/audio/json-object; WebVTT: https://www.w3.org/TR/webvtt1/)
"""

from typing import Any

import msgspec

from gateway.dialects.dialect import Rendered
from inference.codecs.sse import data_event
from inference.ir.transcription import Heard, TranscriptionRequest, TranscriptionResult

_encode = msgspec.json.Encoder().encode
_PLAIN = "text/plain; charset=utf-8"
_EVENTS = "text/event-stream; charset=utf-8"
_CUE_SECONDS = 6.0
_CUE_LETTERS = 80


def written(result: TranscriptionResult, asked: TranscriptionRequest) -> Rendered:
    """In the form that was asked for; json where nothing was."""
    if asked.stream:
        return Rendered(_events(result), content_type=_EVENTS)
    match asked.format:
        case "text":
            return Rendered(f"{result.text}\n".encode(), content_type=_PLAIN)
        case "srt":
            return Rendered(_srt(result).encode(), content_type=_PLAIN)
        case "vtt":
            return Rendered(_vtt(result).encode(), content_type=_PLAIN)
        case "verbose_json":
            return Rendered(_encode(_verbose(result, asked)))
        case _:
            return Rendered(_encode({"text": result.text, **_usage(result)}))


def cues(result: TranscriptionResult) -> tuple[Heard, ...]:
    """The provider's segments, else its words gathered into lines, else all of it as one."""
    if result.segments:
        return result.segments
    lines: list[Heard] = []
    for word in result.words:
        last = lines[-1] if lines else None
        if (
            last is None
            or word.end - last.start > _CUE_SECONDS
            or len(last.text) + len(word.text) >= _CUE_LETTERS
            or last.text.endswith((".", "!", "?"))
        ):
            lines.append(word)
        else:
            lines[-1] = Heard(text=f"{last.text} {word.text}", start=last.start, end=word.end)
    if lines or not result.text:
        return tuple(lines)
    return (Heard(text=result.text, start=0.0, end=result.duration or 0.0),)


def _events(result: TranscriptionResult) -> bytes:
    done = {"type": "transcript.text.done", "text": result.text, **_usage(result)}
    return data_event(_encode({"type": "transcript.text.delta", "delta": result.text})) + data_event(
        _encode(done)
    )


def _verbose(result: TranscriptionResult, asked: TranscriptionRequest) -> dict[str, Any]:
    said: dict[str, Any] = {
        "task": "translate" if asked.translate else "transcribe",
        "language": result.language,
        "duration": result.duration,
        "text": result.text,
    }
    if asked.segments or not asked.words:
        said["segments"] = [
            {"id": place, "start": cue.start, "end": cue.end, "text": cue.text}
            for place, cue in enumerate(cues(result))
        ]
    if asked.words:
        said["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in result.words]
    return {**said, **_usage(result)}


def _usage(result: TranscriptionResult) -> dict[str, Any]:
    if result.duration is None:
        return {}
    return {"usage": {"type": "duration", "seconds": result.duration}}


def _srt(result: TranscriptionResult) -> str:
    return "".join(
        f"{place}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text.strip()}\n\n"
        for place, cue in enumerate(cues(result), 1)
    )


def _vtt(result: TranscriptionResult) -> str:
    body = "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text.strip()}\n\n" for cue in cues(result)
    )
    return f"WEBVTT\n\n{body}"


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
