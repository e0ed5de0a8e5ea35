"""The official OpenAI SDK for Python over real sockets: speech, transcriptions and pictures, passed through."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.harness import GatewayProcess, VirtualKey
from tests.media_peers import PICTURE, SOUND, Answer, as_json, picture_file, sound_file
from tests.media_world import MediaWorld, media_world


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[MediaWorld]:
    with media_world(gateway) as opened:
        yield opened


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def test_speech_to_a_file(
    client: OpenAI, world: MediaWorld, tmp_path: Path, gateway: GatewayProcess, key: VirtualKey
) -> None:
    path = tmp_path / "said.mp3"
    with client.audio.speech.with_streaming_response.create(
        model=world.name("tts"), input="Grüß Gott!", voice="alloy"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        answer.stream_to_file(path)
    assert path.read_bytes() == SOUND
    assert world.last().json == {"model": "tts-1", "input": "Grüß Gott!", "voice": "alloy"}
    record = gateway.record(key)
    assert (record.characters, record.cost_nano) == (10, 150_000)


def test_speech_arrives_while_it_is_made(client: OpenAI, world: MediaWorld) -> None:
    """The second half is held back by the provider until the first has reached the client."""
    world.pause.clear()
    try:
        with client.audio.speech.with_streaming_response.create(
            model=world.name("tts"), input="hello", voice="alloy"
        ) as answer:
            pieces = answer.iter_bytes()
            first = next(pieces)
            assert SOUND.startswith(first)
            assert len(first) <= len(SOUND) // 2
            world.pause.set()
            assert first + b"".join(pieces) == SOUND
    finally:
        world.pause.set()


def test_speech_as_events(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    with client.audio.speech.with_streaming_response.create(
        model=world.name("tts-tokens"), input="hello", voice={"id": "mine"}, stream_format="sse"
    ) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert [line[:32] for line in lines] == [
        'data: {"type":"speech.audio.delt',
        'data: {"type":"speech.audio.done',
    ]
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.characters) == (5, 40, 5)
    assert record.cost_nano == 5 * 600 + 40 * 12_000


def test_a_transcription(client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey) -> None:
    sound = sound_file()
    heard = client.audio.transcriptions.create(
        model=world.name("stt"), file=("a.wav", sound, "audio/wav"), language="en"
    )
    assert heard.text == "Good day."
    assert world.last().form == {
        "model": "whisper-1",
        "language": "en",
        "file": ("a.wav", "audio/wav", sound),
    }
    record = gateway.record(key)
    assert (record.audio_ms, record.cost_nano) == (3000, 300_000)


@pytest.mark.parametrize("wanted", ["text", "srt", "vtt"])
def test_a_transcription_as_text_is_billed_by_the_recordings_own_length(
    client: OpenAI, world: MediaWorld, wanted: str, gateway: GatewayProcess, key: VirtualKey
) -> None:
    form: Any = {"response_format": wanted}
    heard: object = client.audio.transcriptions.create(  # pyright: ignore[reportUnknownVariableType]  # of any form
        model=world.name("stt"), file=("a.wav", sound_file(2000)), **form
    )
    assert heard == "Good day.\n"
    record = gateway.record(key)
    assert (record.audio_ms, record.cost_nano) == (2000, 200_000)


def test_a_transcription_as_events(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    events = list(
        client.audio.transcriptions.create(
            model=world.name("stt"), file=("a.wav", sound_file()), stream=True, response_format="json"
        )
    )
    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    record = gateway.record(key)
    assert (record.input_tokens, record.audio_input_tokens, record.output_tokens) == (14, 14, 4)
    assert record.audio_ms == 1500


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # OpenAI's own, of old routes
def test_a_translation_of_what_is_said(client: OpenAI, world: MediaWorld) -> None:
    heard = client.audio.translations.create(  # pyright: ignore[reportDeprecated]  # OpenAI's own, still served
        model=world.name("stt"), file=("a.wav", sound_file()), response_format="verbose_json"
    )
    assert heard.text == "Good day."
    assert world.last().path == "/openai/v1/audio/translations"


def test_pictures(client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey) -> None:
    made = client.images.generate(
        model=world.name("image"), prompt="a hat", n=2, response_format="b64_json", size="1024x1024"
    )
    assert [one.b64_json for one in made.data or ()] == [PICTURE, PICTURE]
    record = gateway.record(key)
    assert (record.images, record.cost_nano) == (2, 80_000_000)
    addresses = client.images.generate(model=world.name("image"), prompt="a hat", response_format="url")
    assert [one.url for one in addresses.data or ()] == ["https://example.com/a.png"]


def test_pictures_billed_by_tokens(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    client.images.generate(model=world.name("image-tokens"), prompt="a hat")
    record = gateway.record(key)
    assert (record.image_input_tokens, record.image_output_tokens) == (40, 272)
    assert record.cost_nano == 10 * 5000 + 40 * 8000 + 272 * 30_000


def test_pictures_as_they_become_clear(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    events = list(
        client.images.generate(
            model=world.name("image-tokens"), prompt="a hat", stream=True, partial_images=1
        )
    )
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [len(event.b64_json) for event in events] == [100_000, len(PICTURE)]
    assert "stream_options" not in world.last().json
    record = gateway.record(key)
    assert (record.images, record.input_tokens, record.image_output_tokens) == (1, 9, 300)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # OpenAI's own, of old routes
def test_edits_and_variations(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    one, two = picture_file(), picture_file(9, 9)
    made = client.images.edit(
        model=world.name("image"),
        image=[("a.png", one), ("b.png", two)],
        mask=("m.png", one),
        prompt="red",
        n=2,
    )
    assert len(made.data or ()) == 2
    form = world.last().form
    assert (form["model"], form["prompt"], form["mask"][2], form["image[]"][2]) == (
        "dall-e-3",
        "red",
        one,
        two,
    )
    assert gateway.record(key).images == 2
    client.images.create_variation(  # pyright: ignore[reportDeprecated]  # OpenAI's own, still served
        model=world.name("image"), image=("a.png", one)
    )
    assert world.last().path == "/openai/v1/images/variations"
    assert world.last().form["image"] == ("a.png", "image/png", one)


def test_what_a_provider_refuses_reaches_the_client(client: OpenAI, world: MediaWorld) -> None:
    world.broken["/openai/v1/audio/speech"] = as_json(
        {
            "error": {
                "message": "no such voice",
                "type": "invalid_request_error",
                "param": "voice",
                "code": None,
            }
        },
        400,
    )
    try:
        with pytest.raises(openai.BadRequestError, match="no such voice") as refused:
            client.audio.speech.create(model=world.name("tts"), input="hello", voice="nobody")
    finally:
        world.broken.clear()
    assert refused.value.param == "voice"


def test_a_stream_that_breaks_off_is_an_error(client: OpenAI, world: MediaWorld) -> None:
    world.broken["/openai/v1/audio/transcriptions"] = Answer(
        b'data: {"type":"transcript.text.delta","delta":"Good "}\n\n', "text/event-stream"
    )
    try:
        with pytest.raises(openai.APIError):
            list(
                client.audio.transcriptions.create(
                    model=world.name("stt"), file=("a.wav", sound_file()), stream=True
                )
            )
    finally:
        world.broken.clear()


def test_a_client_that_hangs_up_is_billed_what_was_spoken(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    world.pause.clear()
    try:
        with client.audio.speech.with_streaming_response.create(
            model=world.name("tts"), input="hello", voice="alloy"
        ) as answer:
            next(answer.iter_bytes())
        gateway.wait_until(lambda: bool(gateway.usage(key=key.id)))
    finally:
        world.pause.set()
    record = gateway.record(key)
    assert (record.error, record.characters, record.cost_nano) == ("client_closed_request", 5, 75_000)
