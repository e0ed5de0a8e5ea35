"""ElevenLabs, with its official SDK as the measure: what it sends for the same question, what it reads of an answer."""

import json
from typing import Any

import httpx
import pytest
from elevenlabs.client import ElevenLabs

from inference.codecs.form import read_form
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled, UpstreamRefused
from inference.ir.speech import SpeechRequest
from inference.ir.transcription import TranscriptionRequest
from inference.providers.elevenlabs import WIRE

CARD = Model(name="m", kind=Kind.SPEECH, price=Price(input=0, output=0, version="v"))
SPEECH, TRANSCRIPTION = WIRE.exchanges[Kind.SPEECH], WIRE.exchanges[Kind.TRANSCRIPTION]
ANSWER: dict[str, Any] = {
    "language_code": "deu",
    "language_probability": 0.98,
    "text": "Guten Tag. (lacht)",
    "words": [
        {
            "text": "Guten",
            "start": 0.1,
            "end": 0.4,
            "type": "word",
            "speaker_id": "speaker_0",
            "logprob": -0.1,
        },
        {"text": " ", "start": 0.4, "end": 0.5, "type": "spacing", "logprob": 0},
        {
            "text": "Tag.",
            "start": 0.5,
            "end": 0.9,
            "type": "word",
            "speaker_id": "speaker_0",
            "logprob": -0.1,
        },
        {"text": "(lacht)", "start": 1.0, "end": 1.5, "type": "audio_event", "logprob": -0.1},
    ],
    "audio_duration_secs": 2.25,
}


def sdk(answer: httpx.Response) -> tuple[ElevenLabs, list[httpx.Request]]:
    """The SDK, and what it sends."""
    sent: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        request.read()
        sent.append(request)
        return answer

    client = httpx.Client(transport=httpx.MockTransport(take))
    return ElevenLabs(api_key="secret", base_url="https://api.elevenlabs.io", httpx_client=client), sent


def asked(**fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(
        model="m", audio=b"\0\r\n--", filename="a.wav", content_type="audio/wav", **fields
    )


def test_speech_is_asked_for_as_the_sdk_does() -> None:
    client, sent = sdk(httpx.Response(200, content=b"sound"))
    spoken = client.text_to_speech.convert(
        "Ra/chel", text="hi", model_id="eleven_v3", output_format="mp3_44100_128", seed=7
    )
    assert b"".join(spoken) == b"sound"
    ours = SPEECH.request(
        SpeechRequest(model="m", text="hi", voice="Ra/chel", rest={"seed": b"7"}),  # pyright: ignore[reportArgumentType]  # raw JSON is bytes too
        model="eleven_v3",
        card=CARD,
    )
    assert ours.path.partition("?")[2] == sent[0].url.query.decode()
    assert ours.path.startswith("/v1/text-to-speech/Ra%2Fchel?")
    assert sent[0].headers["xi-api-key"] == "secret"
    assert WIRE.credential("secret") == ("xi-api-key", "secret")
    assert json.loads(sent[0].content) == {"text": "hi", "model_id": "eleven_v3", "seed": 7}
    assert ours.piped


def test_a_transcription_is_asked_for_as_the_sdk_does() -> None:
    client, sent = sdk(httpx.Response(200, json=ANSWER))
    client.speech_to_text.convert(
        model_id="scribe_v2",
        file=("a.wav", b"\0\r\n--", "audio/wav"),
        language_code="de",
        temperature=0.5,
        tag_audio_events=False,
        timestamps_granularity="word",
    )
    ours = TRANSCRIPTION.request(asked(language="de", temperature=0.5), model="scribe_v2", card=CARD)
    assert ours.path == sent[0].url.path
    theirs = read_form(sent[0].content)
    mine = read_form(ours.body)
    # The SDK sends what was left out as the text of None.
    kept = {part.name: theirs.value(part) for part in theirs.parts if theirs.value(part) != b"null"}
    assert {part.name: mine.value(part) for part in mine.parts} == kept
    file = mine.named("file")[0]
    assert (file.filename, file.content_type) == ("a.wav", "audio/wav")


def test_a_transcript_is_read_as_the_sdk_reads_it() -> None:
    client, _ = sdk(httpx.Response(200, json=ANSWER))
    theirs: Any = client.speech_to_text.convert(model_id="scribe_v2", file=b"a")
    ours = TRANSCRIPTION.answer(json.dumps(ANSWER).encode(), "application/json")
    assert (ours.text, ours.language) == (theirs.text, theirs.language_code)
    words = [
        (word.text, word.start, word.end, word.speaker_id) for word in theirs.words if word.type == "word"
    ]
    assert [(word.text, word.start, word.end, word.speaker) for word in ours.words] == words
    assert ours.usage.audio_ms == 2250
    assert ours.duration == theirs.audio_duration_secs


def test_what_cannot_be_said_there() -> None:
    with pytest.raises(InvalidField) as refused:
        SPEECH.request(SpeechRequest(model="m", text="a", voice="v", format="aac"), model="m", card=CARD)
    assert refused.value.param == "response_format"
    with pytest.raises(InvalidField):
        TRANSCRIPTION.request(asked(translate=True), model="m", card=CARD)
    lost = TRANSCRIPTION.request(asked(prompt="p", rest=(("seed", "1"), ("odd", "2"))), model="m", card=CARD)
    assert lost.dropped == ("odd", "prompt")


def test_answers_that_are_none() -> None:
    with pytest.raises(UpstreamGarbled):
        TRANSCRIPTION.answer(b"{}", "application/json")


def test_a_refusal_keeps_its_message() -> None:
    body = (
        b'{"detail": {"status": "voice_not_found", "message": "A voice with the voice_id x was not found."}}'
    )
    error = WIRE.error(404, None, body)
    assert isinstance(error, UpstreamRefused)
    assert (error.http_status, error.message) == (404, "A voice with the voice_id x was not found.")
