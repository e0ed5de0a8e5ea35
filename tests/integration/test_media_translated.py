"""Sound and pictures by providers of other formats, over real sockets: what is sent, answered and billed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import GatewayProcess, VirtualKey
from tests.media_peers import PICTURE, SOUND, Answer, Sent, as_json, picture_file, sound_file
from tests.media_world import MediaWorld, media_world

STATUS, RESULT = "/fal/fal-ai/flux/requests/80e7/status", "/fal/fal-ai/flux/requests/80e7"


@pytest.fixture(scope="module")
def opened(gateway: GatewayProcess) -> Iterator[MediaWorld]:
    with media_world(gateway) as world:
        yield world


@pytest.fixture
def world(opened: MediaWorld) -> MediaWorld:
    opened.sent.clear()
    opened.broken.clear()
    return opened


@pytest.fixture
def ask(gateway: GatewayProcess, key: VirtualKey, world: MediaWorld) -> Any:
    def post(path: str, model: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return gateway.http.post(
            f"{gateway.url}/v1/{path}",
            json={"model": world.name(model), **body},
            headers={**key.bearer, **(headers or {})},
        )

    return post


@pytest.fixture
def hear(gateway: GatewayProcess, key: VirtualKey, world: MediaWorld) -> Any:
    def post(model: str, path: str = "transcriptions", **fields: Any) -> httpx.Response:
        return gateway.http.post(
            f"{gateway.url}/v1/audio/{path}",
            data={"model": world.name(model), **fields},
            files={"file": ("a.wav", sound_file(), "audio/wav")},
            headers=key.bearer,
        )

    return post


def refusal(answer: httpx.Response) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


# speech


@pytest.mark.parametrize(("model", "voice"), [("eleven", "Rachel/1"), ("aura", "thalia")])
def test_speech(
    ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey, model: str, voice: str
) -> None:
    answer = ask("audio/speech", model, input="Grüß Gott!", voice=voice, instructions="softly", speed=1.1)
    assert answer.status_code == 200, answer.text
    assert (answer.content, answer.headers["content-type"]) == (SOUND, "audio/mpeg")
    assert answer.headers["x-aspendos-dropped"] == "instructions"
    record = gateway.record(key)
    assert record.characters == 10
    assert record.cost_nano == {"eleven": 1_000_000, "aura": 300_000}[model]
    sent = world.last()
    if model == "eleven":
        assert sent.json == {"text": "Grüß Gott!", "model_id": "eleven_v3", "voice_settings": {"speed": 1.1}}
    else:
        assert sent.query == {"model": "aura-2-thalia-en", "encoding": "mp3", "speed": "1.1"}


@pytest.mark.parametrize(
    ("model", "voice", "dropped"),
    [("neural", "de-DE-Neural2-B", None), ("neural", "alloy", "voice"), ("jenny", "alloy", "voice")],
)
def test_speech_by_voices_that_name_their_language(
    ask: Any,
    world: MediaWorld,
    gateway: GatewayProcess,
    key: VirtualKey,
    model: str,
    voice: str,
    dropped: str | None,
) -> None:
    answer = ask("audio/speech", model, input="Fish & <chips>", voice=voice, speed=1.25)
    assert answer.status_code == 200, answer.text
    assert (answer.content, answer.headers["content-type"]) == (SOUND, "audio/mpeg")
    assert answer.headers.get("x-aspendos-dropped") == dropped
    assert gateway.record(key).characters == 14
    sent = world.last()
    if model == "neural":
        assert sent.json == {
            "input": {"text": "Fish & <chips>"},
            "voice": {"languageCode": "en-US", "name": "en-US-Neural2-A"}
            if dropped
            else {"languageCode": "de-DE", "name": "de-DE-Neural2-B"},
            "audioConfig": {"audioEncoding": "MP3", "speakingRate": 1.25},
        }
    else:
        assert sent.headers["x-microsoft-outputformat"] == "audio-24khz-96kbitrate-mono-mp3"
        assert b'<voice name="en-US-JennyNeural">' in sent.body
        assert b'<prosody rate="+25%">Fish &amp; &lt;chips&gt;</prosody>' in sent.body


@pytest.mark.parametrize(("model", "milliseconds"), [("latest", 2000), ("fast", 1500)])
def test_transcriptions_that_are_told_their_language(
    hear: Any, gateway: GatewayProcess, key: VirtualKey, model: str, milliseconds: int
) -> None:
    """Google bills more than the recording's length, and says so."""
    told = hear(model, language="en-US", response_format="verbose_json").json()
    assert (told["text"], told["duration"]) == ("Good day.", 1.5)
    assert told["segments"][0]["start"] == 0.1
    assert gateway.record(key).audio_ms == milliseconds
    assert hear(model, language="en-US", response_format="srt").text.endswith("00:00:00,900\nGood day.\n\n")


def test_speech_arrives_while_it_is_made(world: MediaWorld, gateway: GatewayProcess, key: VirtualKey) -> None:
    world.pause.clear()
    body = {"model": world.name("eleven"), "input": "a", "voice": "Rachel/1"}
    try:
        with gateway.http.stream(
            "POST", f"{gateway.url}/v1/audio/speech", json=body, headers=key.bearer
        ) as answer:
            pieces = answer.iter_raw()
            first = next(pieces)
            assert len(first) <= len(SOUND) // 2
            world.pause.set()
            assert first + b"".join(pieces) == SOUND
    finally:
        world.pause.set()


def test_what_a_voice_cannot_do(ask: Any, world: MediaWorld) -> None:
    answer = ask("audio/speech", "eleven", input="a", voice="Rachel/1", response_format="flac")
    assert refusal(answer) == (400, "response_format", "not_translatable")
    answer = ask("audio/speech", "aura", input="a", voice="thalia", stream_format="sse")
    assert refusal(answer) == (400, "stream_format", "not_translatable")
    strict = {"x-aspendos-strict": "1"}
    answer = ask("audio/speech", "aura", headers=strict, input="a", voice="thalia", instructions="softly")
    assert refusal(answer) == (400, "instructions", "not_translatable")
    assert not world.sent


# transcriptions


@pytest.mark.parametrize(("model", "seconds"), [("scribe", 1.5), ("nova", 1.5)])
def test_a_transcription_in_every_form(
    hear: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey, model: str, seconds: float
) -> None:
    """ElevenLabs says nothing of the length here, so the recording's own head is believed."""
    assert hear(model).json()["text"] == "Good day."
    record = gateway.record(key)
    assert record.audio_ms == 1500
    assert record.cost_nano == round({"scribe": 0.4, "nova": 0.258}[model] / 3600 * seconds * 1e9)
    plain = hear(model, response_format="text")
    assert (plain.text, plain.headers["content-type"]) == ("Good day.\n", "text/plain; charset=utf-8")
    assert hear(model, response_format="srt").text == "1\n00:00:00,100 --> 00:00:00,900\nGood day.\n\n"
    assert hear(model, response_format="vtt").text.startswith("WEBVTT\n\n00:00:00.100 --> 00:00:00.900\n")
    told = hear(
        model, **{"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    ).json()
    assert told["words"] == [
        {"word": "Good", "start": 0.1, "end": 0.4},
        {"word": "day.", "start": 0.5, "end": 0.9},
    ]
    assert told["segments"] == [{"id": 0, "start": 0.1, "end": 0.9, "text": "Good day."}]
    assert (told["task"], told["language"]) == ("transcribe", {"scribe": "eng", "nova": "en"}[model])


def test_what_providers_of_transcriptions_are_told(hear: Any, world: MediaWorld) -> None:
    answer = hear("scribe", language="en", temperature="0.5", prompt="names: Ada", num_speakers="2")
    assert answer.headers["x-aspendos-dropped"] == "prompt"
    assert world.last().form == {
        "model_id": "scribe_v2",
        "tag_audio_events": "false",
        "timestamps_granularity": "word",
        "language_code": "en",
        "temperature": "0.5",
        "num_speakers": "2",
        "file": ("a.wav", "audio/wav", sound_file()),
    }
    answer = hear("nova", language="en", temperature="0.5", keyterm="Ada")
    assert answer.headers["x-aspendos-dropped"] == "temperature"
    sent = world.last()
    assert (sent.body, sent.headers["content-type"]) == (sound_file(), "audio/wav")
    assert sent.query == {
        "model": "nova-3",
        "smart_format": "true",
        "utterances": "true",
        "language": "en",
        "keyterm": "Ada",
    }


def test_a_stream_of_a_transcript_that_comes_in_one_piece(hear: Any) -> None:
    answer = hear("nova", stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line for line in answer.text.splitlines() if line]
    assert events[0] == 'data: {"type":"transcript.text.delta","delta":"Good day."}'
    assert events[1].startswith('data: {"type":"transcript.text.done","text":"Good day."')


def test_what_cannot_be_written_down(hear: Any, world: MediaWorld) -> None:
    assert refusal(hear("nova", path="translations")) == (400, "model", "not_translatable")
    assert refusal(hear("scribe", response_format="diarized_json")) == (
        400,
        "response_format",
        "not_translatable",
    )
    assert refusal(hear("latest")) == (400, "language", "missing_field")
    assert not world.sent
    world.broken["/deepgram/v1/listen"] = as_json({"err_code": "Bad Request", "err_msg": "corrupt"}, 400)
    answer = hear("nova")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "corrupt")
    world.broken["/elevenlabs/v1/speech-to-text"] = as_json(
        {"detail": {"status": "x", "message": "worn"}}, 429
    )
    answer = hear("scribe")
    assert answer.status_code == 429
    assert "worn" in answer.json()["error"]["message"]
    world.broken["/deepgram/v1/listen"] = Answer(b"<html>")
    assert refusal(hear("nova"))[0] == 502


# pictures


def test_pictures_of_stability(ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = ask("images/generations", "sd3", prompt="a hat", size="1792x1024", seed=7, output_format="jpeg")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == [{"b64_json": PICTURE}]
    assert answer.headers["x-aspendos-dropped"] == "size"
    assert world.last().form == {
        "prompt": "a hat",
        "output_format": "jpeg",
        "model": "sd3.5-large",
        "aspect_ratio": "16:9",
        "seed": "7",
    }
    record = gateway.record(key)
    assert (record.images, record.cost_nano) == (1, 65_000_000)
    assert (
        ask("images/generations", "core", prompt="a", response_format="url")
        .headers["x-aspendos-dropped"]
        .startswith("response_format")
    )


def test_pictures_that_a_filter_keeps_back_cost_nothing(
    ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    for prompt in ("forbidden", "filtered"):
        answer = ask("images/generations", "core", prompt=prompt)
        assert refusal(answer) == (400, None, "content_policy_violation")
    assert [record.cost_nano for record in gateway.usage(key=key.id)] == [0, 0]


def test_what_these_models_do_not_make(
    ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    assert refusal(ask("images/generations", "core", prompt="a", n=2)) == (400, "n", "not_translatable")
    answer = ask("images/generations", "flux", prompt="a", stream=True)
    assert refusal(answer) == (400, "stream", "not_translatable")
    edit = gateway.http.post(
        f"{gateway.url}/v1/images/edits",
        data={"model": world.name("core"), "prompt": "a"},
        files={"image": picture_file()},
        headers=key.bearer,
    )
    assert refusal(edit) == (400, "image", "not_translatable")
    assert not world.sent


def test_pictures_of_fal_are_waited_for(
    ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    said = iter(["IN_QUEUE", "IN_PROGRESS", "COMPLETED"])

    def status(sent: Sent) -> Answer:
        word = next(said)
        return as_json({"status": word, "queue_position": 0}, 200 if word == "COMPLETED" else 202)

    world.answers[STATUS] = status
    answer = ask("images/generations", "flux", prompt="a hat", size="512x512", guidance_scale=3.5, n=2)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == [{"url": "https://fal.media/files/a.png"}]
    assert world.sent[0].json == {
        "prompt": "a hat",
        "guidance_scale": 3.5,
        "image_size": {"width": 512, "height": 512},
        "num_images": 2,
    }
    assert [(sent.method, sent.path) for sent in world.sent[1:]] == [*[("GET", STATUS)] * 3, ("GET", RESULT)]
    record = gateway.record(key)
    assert (record.images, record.cost_nano) == (1, 25_000_000)


def test_an_edit_by_fal_carries_the_picture(
    world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    world.answers[STATUS] = lambda sent: as_json({"status": "COMPLETED"})
    answer = gateway.http.post(
        f"{gateway.url}/v1/images/edits",
        data={"model": world.name("flux"), "prompt": "red", "response_format": "b64_json"},
        files={"image": picture_file()},
        headers=key.bearer,
    )
    assert answer.status_code == 200, answer.text
    assert world.sent[0].json["image_url"].startswith("data:image/png;base64,")
    assert world.sent[0].json["sync_mode"] is True
    assert answer.headers["x-aspendos-dropped"] == "response_format"


def test_what_fal_refuses(ask: Any, world: MediaWorld) -> None:
    world.answers[STATUS] = lambda sent: as_json({"status": "COMPLETED"})
    mistakes = [{"loc": ["body", "image_size"], "msg": "too large", "type": "value_error"}]
    world.broken[RESULT] = as_json({"detail": mistakes}, 422)
    answer = ask("images/generations", "flux", prompt="a")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "body.image_size: too large"
    world.broken["/fal/fal-ai/flux/dev"] = as_json({"detail": "no"}, 401)
    assert refusal(ask("images/generations", "flux", prompt="a"))[2] == "upstream_auth"


def test_a_queue_that_never_ends_is_left(ask: Any, world: MediaWorld) -> None:
    """The provider's total time-out is 3 seconds here."""
    world.answers[STATUS] = lambda sent: as_json({"status": "IN_QUEUE"}, 202)
    world.answers[f"{RESULT}/cancel"] = lambda sent: as_json({"status": "CANCELLATION_REQUESTED"}, 202)
    assert refusal(ask("images/generations", "flux", prompt="a")) == (504, None, "upstream_timeout_total")
    assert (world.last().method, world.last().path) == ("PUT", f"{RESULT}/cancel")


def test_a_client_that_leaves_takes_its_request_out_of_the_queue(
    world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    world.answers[STATUS] = lambda sent: as_json({"status": "IN_QUEUE"}, 202)
    world.answers[f"{RESULT}/cancel"] = lambda sent: as_json({"status": "CANCELLATION_REQUESTED"}, 202)
    body = {"model": world.name("flux"), "prompt": "a"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/v1/images/generations", json=body, headers=key.bearer, timeout=1.5)
    gateway.wait_until(lambda: any(sent.method == "PUT" for sent in world.sent))
    assert world.last().path == f"{RESULT}/cancel"
    record = gateway.record(key)
    assert (record.error, record.cost_nano) == ("client_closed_request", 0)


def test_gemini_speaks_and_draws_by_the_token(
    ask: Any, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    spoken = ask("audio/speech", "kore", input="hi", voice="Kore")
    assert (spoken.content[:4], len(spoken.content), spoken.headers["content-type"]) == (
        b"RIFF",
        524,
        "audio/wav",
    )
    drawn = ask("images/generations", "banana", prompt="a hat")
    assert drawn.json()["data"] == [{"b64_json": "cGljdHVyZQ=="}]
    drawing, speech = gateway.usage(key=key.id)
    assert (speech.audio_output_tokens, speech.cost_nano) == (1290, 8 * 500 + 1290 * 10_000)
    assert (drawing.image_output_tokens, drawing.images, drawing.cost_nano) == (
        1290,
        1,
        8 * 300 + 1290 * 30_000,
    )
