"""Azure's voices and fast transcription: what is written, and both spellings of what is read."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from inference.codecs.form import read_form
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest
from inference.ir.transcription import TranscriptionRequest
from inference.providers.azure_speech import WIRE

CARD = Model(name="m", kind=Kind.SPEECH, price=Price(input=0, output=0, version="v"))
SPEECH, TRANSCRIPTION = WIRE.exchanges[Kind.SPEECH], WIRE.exchanges[Kind.TRANSCRIPTION]
NAMESPACE = "{http://www.w3.org/2001/10/synthesis}"


def speak(text: str = "hi", voice: str = "zh-Hans-CN-Xi'ao\"Neural", **fields: Any) -> Any:
    asked = SpeechRequest(model="m", text=text, voice=voice, **fields)
    return SPEECH.request(asked, model="de-DE-KatjaNeural", card=CARD)


def asked(**fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(model="m", audio=b"RIFF", filename="a", content_type="audio/wav", **fields)


def test_no_text_and_no_voice_breaks_out_of_the_ssml() -> None:
    text = "</voice><audio src='x'/> & ]]> \x00\x08 👋"
    tree = ElementTree.fromstring(speak(text, instructions="softly").body)
    assert tree.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "zh-Hans-CN"
    voices = list(tree)
    assert [(voice.tag, voice.attrib) for voice in voices] == [
        (f"{NAMESPACE}voice", {"name": "zh-Hans-CN-Xi'ao\"Neural"})
    ]
    assert voices[0].text == "</voice><audio src='x'/> & ]]>  👋"
    assert not list(voices[0])


def test_slower_is_a_percentage() -> None:
    tree = ElementTree.fromstring(speak(speed=0.5).body)
    assert tree[0][0].attrib == {"rate": "-50%"}


def test_what_cannot_be_said_there() -> None:
    for fields, param in (({"format": "flac"}, "response_format"),):
        with pytest.raises(InvalidField) as refused:
            speak(**fields)
        assert refused.value.param == param
    with pytest.raises(InvalidField) as refused:
        SPEECH.request(SpeechRequest(model="m", text="a", voice="alloy"), model="m", card=CARD)
    assert refused.value.param == "voice"
    with pytest.raises(InvalidField):
        TRANSCRIPTION.request(asked(translate=True), model="m", card=CARD)
    with pytest.raises(UpstreamGarbled):
        TRANSCRIPTION.answer(b"{}", "application/json")


def test_a_recording_without_a_language() -> None:
    out = TRANSCRIPTION.request(
        asked(prompt="a", temperature=0.0, rest=(("odd", "1"),)), model="m", card=CARD
    )
    form = read_form(out.body)
    assert form.text("definition") == "{}"
    assert form.value(form.named("audio")[0]) == b"RIFF"
    assert out.dropped == ("odd", "prompt", "temperature")


@pytest.mark.parametrize("suffix", ["", "Milliseconds"])
def test_both_spellings(suffix: str) -> None:
    at = {f"offset{suffix}": 40, f"duration{suffix}": 240}
    body = {
        f"duration{suffix}": 2000,
        "combinedPhrases": [{"text": "Weather"}],
        "phrases": [{**at, "text": "Weather", "locale": "en-US", "words": [{**at, "text": "Weather"}]}],
    }
    told = TRANSCRIPTION.answer(json.dumps(body).encode(), "application/json")
    assert (told.text, told.language, told.duration, told.usage.audio_ms) == ("Weather", "en-US", 2.0, 2000)
    assert [(each.start, each.end) for each in (*told.words, *told.segments)] == [(0.04, 0.28)] * 2
