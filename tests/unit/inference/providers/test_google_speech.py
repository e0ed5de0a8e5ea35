"""Google's speech: what is written for it, and read of it."""

import base64
import json
from typing import Any

import pytest

from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest
from inference.ir.transcription import TranscriptionRequest
from inference.providers.google_speech import WIRE

CARD = Model(name="m", kind=Kind.SPEECH, price=Price(input=0, output=0, version="v"))
SPEECH, TRANSCRIPTION = WIRE.exchanges[Kind.SPEECH], WIRE.exchanges[Kind.TRANSCRIPTION]


def hear(audio: bytes, **fields: Any) -> Any:
    asked = TranscriptionRequest(model="m", audio=audio, filename="a", content_type="audio/wav", **fields)
    return TRANSCRIPTION.request(asked, model="latest_long", card=CARD)


@pytest.mark.parametrize(
    ("audio", "kind"),
    [
        (b"ID3a", "audio/mpeg"),
        (b"\xff\xf3a", "audio/mpeg"),
        (b"OggSa", "audio/ogg"),
        (b"RIFFa", "audio/wav"),
        (b"a", "application/octet-stream"),
    ],
)
def test_sound_is_named_by_what_it_is(audio: bytes, kind: str) -> None:
    body = json.dumps({"audioContent": base64.b64encode(audio).decode()}).encode()
    told = SPEECH.answer(body, "application/json")
    assert (told.audio, told.content_type) == (audio, kind)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"audioContent":"%%%"}'])
def test_what_is_no_sound(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        SPEECH.answer(body, "application/json")


def test_what_cannot_be_said_there() -> None:
    for voice, wanted, param in (("alloy", "mp3", "voice"), ("de-DE-Neural2-B", "flac", "response_format")):
        with pytest.raises(InvalidField) as refused:
            SPEECH.request(
                SpeechRequest(model="m", text="a", voice=voice, format=wanted), model="m", card=CARD
            )
        assert refused.value.param == param


def test_sound_says_itself_how_it_is_encoded_or_is_refused() -> None:
    config = {
        "languageCode": "de",
        "model": "latest_long",
        "enableWordTimeOffsets": True,
        "enableAutomaticPunctuation": True,
    }
    assert json.loads(hear(b"RIFFabc", language="de").body) == {
        "config": config,
        "audio": {"content": base64.b64encode(b"RIFFabc").decode()},
    }
    ogg = json.loads(hear(b"OggS....OpusHead", language="de").body)["config"]
    assert (ogg["encoding"], ogg["sampleRateHertz"]) == ("OGG_OPUS", 48_000)
    with pytest.raises(InvalidField) as refused:
        hear(b"ID3", language="de")
    assert refused.value.param == "file"
    with pytest.raises(InvalidField):
        hear(b"RIFF", language="de", translate=True)
    assert hear(b"RIFF", language="de", prompt="a", temperature=1.0).dropped == ("prompt", "temperature")


def test_portions_follow_one_another() -> None:
    body: dict[str, Any] = {
        "results": [
            {"alternatives": [{"transcript": "Good "}], "resultEndTime": "1.5s"},
            {"alternatives": []},
            {"alternatives": [{"transcript": " day."}], "resultEndTime": "3.250s", "languageCode": "en-us"},
        ],
        "totalBilledTime": "15s",
    }
    told = TRANSCRIPTION.answer(json.dumps(body).encode(), "application/json")
    assert (told.text, told.duration, told.usage.audio_ms) == ("Good day.", 3.25, 15_000)
    silent = TRANSCRIPTION.answer(b"{}", "application/json")
    assert (silent.text, silent.duration, silent.usage.audio_ms) == ("", None, 0)
