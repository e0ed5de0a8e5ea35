"""Deepgram, with its official SDK as the measure: what it sends for the same question, what it reads of an answer."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from deepgram import DeepgramClient

from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest
from inference.ir.transcription import TranscriptionRequest
from inference.providers.deepgram import WIRE
from inference.wire import Outgoing

# Of what the SDK imports itself.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.*deprecated:DeprecationWarning")
CARD = Model(name="m", kind=Kind.SPEECH, price=Price(input=0, output=0, version="v"))
SPEECH, TRANSCRIPTION = WIRE.exchanges[Kind.SPEECH], WIRE.exchanges[Kind.TRANSCRIPTION]
ANSWER: dict[str, Any] = {
    "metadata": {
        "request_id": "r",
        "created": "2026-01-01T00:00:00Z",
        "duration": 3.5,
        "channels": 1,
        "models": [],
        "model_info": {},
    },
    "results": {
        "channels": [
            {
                "detected_language": "en",
                "alternatives": [
                    {
                        "transcript": "Good day.",
                        "confidence": 0.9,
                        "words": [
                            {
                                "word": "good",
                                "punctuated_word": "Good",
                                "start": 0.1,
                                "end": 0.4,
                                "speaker": 0,
                            },
                            {"word": "day", "start": 0.5, "end": 0.9},
                        ],
                    }
                ],
            }
        ],
        "utterances": [{"start": 0.1, "end": 0.9, "transcript": "Good day.", "id": "u"}],
    },
}


def sdk(answer: httpx.Response) -> tuple[DeepgramClient, list[httpx.Request]]:
    """The SDK, and what it sends."""
    sent: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        request.read()
        sent.append(request)
        return answer

    client = httpx.Client(transport=httpx.MockTransport(take))
    return DeepgramClient(api_key="secret", httpx_client=client), sent


def query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def asked(**fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(model="m", audio=b"RIFF", filename="a", content_type="audio/wav", **fields)


def speak(voice: str, model: str, **fields: Any) -> Outgoing:
    return SPEECH.request(SpeechRequest(model="m", text="hi", voice=voice, **fields), model=model, card=CARD)


def test_speech_is_asked_for_as_the_sdk_does() -> None:
    client, sent = sdk(httpx.Response(200, content=b"sound"))
    spoken = client.speak.v1.audio.generate(
        text="hi",
        model="aura-2-thalia-en",
        encoding="linear16",
        container="none",
        sample_rate=24000,
        speed=1.2,
    )
    assert b"".join(spoken) == b"sound"
    ours = speak("thalia", "aura-2", format="pcm", speed=1.2)
    assert urlsplit(ours.path).path == sent[0].url.path
    assert query(ours.path) == query(str(sent[0].url))
    assert json.loads(ours.body) == json.loads(sent[0].content)
    assert sent[0].headers["authorization"] == WIRE.credential("secret")[1]


@pytest.mark.parametrize(
    ("voice", "model", "expected", "dropped"),
    [
        ("thalia", "aura-2", "aura-2-thalia-en", ()),
        ("celeste-es", "aura-2", "aura-2-celeste-es", ()),
        ("aura-asteria-en", "aura-2", "aura-asteria-en", ()),
        ("thalia", "aura-2-thalia-en", "aura-2-thalia-en", ()),
        ("alloy", "aura-2-thalia-en", "aura-2-thalia-en", ("voice",)),
    ],
)
def test_a_voice_is_a_model_there(voice: str, model: str, expected: str, dropped: tuple[str, ...]) -> None:
    ours = speak(voice, model)
    assert (query(ours.path)["model"], ours.dropped) == ([expected], dropped)


def test_a_transcription_is_asked_for_as_the_sdk_does() -> None:
    client, sent = sdk(httpx.Response(200, json=ANSWER))
    client.listen.v1.media.transcribe_file(
        request=b"RIFF", model="nova-3", smart_format=True, utterances=True, detect_language=True
    )
    ours = TRANSCRIPTION.request(asked(), model="nova-3", card=CARD)
    assert urlsplit(ours.path).path == sent[0].url.path
    assert query(ours.path) == query(str(sent[0].url))
    assert (ours.body, ours.content_type) == (sent[0].content, "audio/wav")
    assert query(TRANSCRIPTION.request(asked(language="de"), model="n", card=CARD).path)["language"] == ["de"]


def test_a_transcript_is_read_as_the_sdk_reads_it() -> None:
    client, _ = sdk(httpx.Response(200, json=ANSWER))
    theirs: Any = client.listen.v1.media.transcribe_file(request=b"RIFF")
    first = theirs.results.channels[0].alternatives[0]
    ours = TRANSCRIPTION.answer(json.dumps(ANSWER).encode(), "application/json")
    assert ours.text == first.transcript
    assert [(word.start, word.end) for word in ours.words] == [(word.start, word.end) for word in first.words]
    assert [(word.text, word.speaker) for word in ours.words] == [("Good", "0"), ("day", None)]
    assert [(each.text, each.start) for each in ours.segments] == [
        (each.transcript, each.start) for each in theirs.results.utterances
    ]
    assert (ours.duration, ours.usage.audio_ms) == (theirs.metadata.duration, 3500)
    assert ours.language == "en"


def test_what_cannot_be_said_there() -> None:
    with pytest.raises(InvalidField):
        speak("thalia", "aura-2", format="webm")
    with pytest.raises(InvalidField):
        TRANSCRIPTION.request(asked(translate=True), model="m", card=CARD)
    with pytest.raises(UpstreamGarbled):
        TRANSCRIPTION.answer(b'{"results": {"channels": []}}', "application/json")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            '{"err_code": "INVALID_AUTH", "err_msg": "Bad model.", "request_id": "r"}',
            "Bad model.",
            "upstream_refused",
        ),
        (
            '{"category": "BAD", "message": "No.", "details": "Mend it.", "request_id": "r"}',
            "No. Mend it.",
            "upstream_refused",
        ),
    ],
)
def test_refusals_old_and_new(body: str, message: str, code: str) -> None:
    error = WIRE.error(400, None, body.encode())
    assert (error.message, error.code) == (message, code)
