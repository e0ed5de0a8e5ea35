"""What clients of transcriptions send."""

from typing import Any

import pytest

from gateway.dialects.transcriptions import AudioTranslations, Transcriptions
from inference.codecs.form import Field
from inference.ir.errors import InvalidField
from tests.bulk import form_of
from tests.media_peers import sound_file


def form(kind: str | None = "audio/wav", audio: bytes | None = None, **texts: str) -> bytes:
    fields = [Field(name=name, value=text.encode()) for name, text in {"model": "m", **texts}.items()]
    sound = sound_file(1500) if audio is None else audio
    return form_of([*fields, Field(name="file", value=sound, filename="a.wav", content_type=kind)], "b")


def test_what_is_held_and_counted() -> None:
    request = Transcriptions().decode(form(stream="true", prompt="names: Ada", aspendos='{"tags":["a=b"]}'))
    assert (request.audio_bytes, request.counted.audio_ms) == (len(sound_file(1500)), 1500)
    assert (request.stream, request.prompt, request.tags, request.hints) == (
        True,
        b"names: Ada",
        {"a": "b"},
        True,
    )
    unknown = Transcriptions().decode(form(audio=b"a" * 8000))
    assert unknown.counted.audio_ms == 2000


def test_a_request_in_neutral_words() -> None:
    times: Any = {"timestamp_granularities[]": "word"}
    asked = Transcriptions().parse(
        form(language="de", temperature="0.5", response_format="verbose_json", keyterm="Ada", **times)
    )
    assert (asked.language, asked.temperature, asked.format, asked.words, asked.segments) == (
        "de",
        0.5,
        "verbose_json",
        True,
        False,
    )
    assert (asked.filename, asked.content_type, asked.rest) == ("a.wav", "audio/wav", (("keyterm", "Ada"),))


@pytest.mark.parametrize("kind", [None, "audio wav", "a", "audio/wäv"])
def test_what_is_no_media_type_becomes_no_header(kind: str | None) -> None:
    assert Transcriptions().parse(form(kind)).content_type == "application/octet-stream"


def test_translations_are_not_streamed_and_know_no_speakers() -> None:
    assert not AudioTranslations().decode(form(stream="true")).stream
    assert AudioTranslations().parse(form()).translate
    with pytest.raises(InvalidField):
        AudioTranslations().decode(form(response_format="diarized_json"))
    assert Transcriptions().decode(form(response_format="diarized_json")).model == "m"


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": "diarized_json"},
        {"timestamp_granularities[]": "letter"},
        {"temperature": "warm"},
        {"stream": "x"},
    ],
)
def test_what_cannot_be_said_in_neutral_words(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as refused:
        Transcriptions().parse(form(**fields))
    assert refused.value.param == next(iter(fields)).removesuffix("[]")
