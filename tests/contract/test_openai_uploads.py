"""Large uploads by the official OpenAI SDK: on the disk on their way, and byte for byte what was sent where they go."""

import base64
import io
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from PIL import Image

from tests.harness import GatewayProcess, UpstreamThread, VirtualKey, catalogue, free_port
from tests.media_peers import Sent, as_json, sound_file
from tests.media_world import MediaWorld, media_world

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def gateway(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    limits = {"ASPENDOS_UPLOADS_TOTAL": "256m"}
    with GatewayProcess(
        tmp_path_factory.mktemp("uploads"), catalogue(upstream.base_url), environment=limits
    ) as running:
        yield running


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[MediaWorld]:
    with media_world(gateway) as opened:
        yield opened


@pytest.fixture
def key(gateway: GatewayProcess) -> VirtualKey:
    return gateway.new_key()


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A PNG of about 10 MB: noise cannot be packed."""
    held = io.BytesIO()
    Image.frombytes("RGBA", (1600, 1600), os.urandom(1600 * 1600 * 4)).save(held, "PNG", compress_level=0)
    assert len(held.getvalue()) > 10_000_000
    return held.getvalue()


@pytest.fixture(scope="module")
def recording() -> bytes:
    """A WAV of about 20 MB, eleven minutes."""
    head = sound_file(650_000)
    return head[:44] + os.urandom(len(head) - 44)


def on_disk(gateway: GatewayProcess) -> float:
    return gateway.metric("aspendos_upload_bytes")


def held_by(gateway: GatewayProcess) -> list[str]:
    """The uploads that the gateway's process holds."""
    links = [
        str(entry.readlink()) for entry in Path(f"/proc/{gateway.pid}/fd").iterdir() if entry.is_symlink()
    ]
    return [link for link in links if link.startswith(f"{gateway.data_dir / 'tmp'}/")]


def test_a_picture_is_edited(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, picture: bytes
) -> None:
    answer = client.images.edit(
        model=world.name("image"),
        image=[("a.png", picture, "image/png"), ("b.png", picture, "image/png")],
        prompt="a hat",
        n=1,
    )
    assert answer.data is not None
    sent = world.last()
    assert int(sent.headers["content-length"]) == len(sent.body)
    assert sent.form == {
        "model": "dall-e-3",
        "prompt": "a hat",
        "n": "1",
        "image[]": ("b.png", "image/png", picture),
    }
    assert sent.body.count(picture) == 2
    assert on_disk(gateway) == 0
    assert not held_by(gateway)


def test_a_recording_is_written_down(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey, recording: bytes
) -> None:
    answer = client.audio.transcriptions.create(
        model=world.name("stt"), file=("talk.wav", recording, "audio/wav"), language="en"
    )
    assert answer.text == "Good day."
    assert world.last().form == {
        "model": "whisper-1",
        "language": "en",
        "file": ("talk.wav", "audio/wav", recording),
    }
    assert gateway.record(key).audio_ms == 3000


def test_what_the_provider_does_not_measure_is_measured_off_the_disk(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, key: VirtualKey, recording: bytes
) -> None:
    world.broken["/openai/v1/audio/transcriptions"] = as_json({"text": "Good day."})
    try:
        client.audio.transcriptions.create(model=world.name("stt"), file=("a.wav", recording))
    finally:
        world.broken.clear()
    assert gateway.record(key).audio_ms == 650_000


def test_a_transcript_is_streamed(client: OpenAI, world: MediaWorld, recording: bytes) -> None:
    events = client.audio.transcriptions.create(
        model=world.name("stt"), file=("talk.wav", recording, "audio/wav"), stream=True
    )
    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert world.last().form["file"] == ("talk.wav", "audio/wav", recording)


def _file(sent: Sent) -> bytes:
    return sent.form["file"][2]


def _azure(sent: Sent) -> bytes:
    return sent.form["audio"][2]


def _deepgram(sent: Sent) -> bytes:
    assert int(sent.headers["content-length"]) == len(sent.body)
    return sent.body


@pytest.mark.parametrize(("model", "read"), [("scribe", _file), ("fast", _azure), ("nova", _deepgram)])
def test_a_recording_for_another_format(
    client: OpenAI, world: MediaWorld, recording: bytes, model: str, read: Any
) -> None:
    answer = client.audio.transcriptions.create(
        model=world.name(model), file=("talk.wav", recording, "audio/wav"), language="en-US"
    )
    assert "ood day" in answer.text
    assert read(world.last()) == recording


def test_a_file_inside_of_json(client: OpenAI, world: MediaWorld, picture: bytes, recording: bytes) -> None:
    client.images.edit(model=world.name("banana"), image=("a.png", picture), prompt="a hat \xff")
    parts = world.last().json["contents"][0]["parts"]
    assert parts[0] == {"text": "a hat \xff"}
    assert base64.b64decode(parts[1]["inlineData"]["data"]) == picture
    world.broken["/google/v1/speech:recognize"] = as_json({"results": []})  # it knows one recording alone
    try:
        client.audio.transcriptions.create(
            model=world.name("latest"), file=("a.wav", recording), language="en-US"
        )
    finally:
        world.broken.clear()
    assert base64.b64decode(world.last().json["audio"]["content"]) == recording


def test_the_next_target_has_all_of_it_again(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, recording: bytes
) -> None:
    """The first is not there; the second takes some of it and hangs up; the third answers."""
    with socket.create_server(("127.0.0.1", 0)) as rude, ThreadPoolExecutor(1) as pool:
        rude.settimeout(20)

        over = threading.Event()

        def hang_up() -> None:
            while not over.is_set():
                peer, _ = rude.accept()
                with peer:
                    taken = 0
                    while taken < 3 * MIB and (piece := peer.recv(65536)):
                        taken += len(piece)

        hung_up = pool.submit(hang_up)
        names = {"gone": free_port(), "rude": rude.getsockname()[1]}
        key = {"env": "UPSTREAM_KEY"}
        model = world.name("third")
        gateway.configure(
            providers={
                world.name(name): {"wire": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "key": key}
                for name, port in names.items()
            },
            models={
                model: {
                    "kind": "transcription",
                    "price": {"per_second": 0.0001},
                    "targets": [
                        {"provider": world.name("gone"), "model": "whisper-1", "weight": 100_000},
                        {"provider": world.name("rude"), "model": "whisper-1", "weight": 300},
                        {"provider": f"openai-{world.tag}", "model": "whisper-1", "weight": 1},
                    ],
                }
            },
        )
        attempts = set[str]()
        while "3" not in attempts:  # chance has its say in which is tried first
            answer = client.audio.transcriptions.with_raw_response.create(
                model=model, file=("a.wav", recording)
            )
            attempts.add(answer.headers["x-aspendos-attempts"])
            assert world.last().form == {"model": "whisper-1", "file": ("a.wav", "audio/x-wav", recording)}
        over.set()
        socket.create_connection(rude.getsockname()).close()
        hung_up.result(20)


def test_a_refusal_in_the_middle_of_an_upload_is_passed_on(
    client: OpenAI, world: MediaWorld, gateway: GatewayProcess, recording: bytes
) -> None:
    refusal = b'{"error":{"message":"Too large for me.","type":"invalid_request_error","code":null}}'
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(20)

        def refuse() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(
                    b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n%s" % (len(refusal), refusal)
                )
                peer.settimeout(20)
                while peer.recv(65536):
                    pass

        refused = pool.submit(refuse)
        name = world.name("curt")
        gateway.configure(
            providers={
                name: {"wire": "openai", "base_url": f"http://127.0.0.1:{server.getsockname()[1]}/v1"}
            },
            models={
                name: {
                    "kind": "transcription",
                    "price": {"per_second": 0.0001},
                    "targets": [{"provider": name, "model": "whisper-1"}],
                }
            },
        )
        with pytest.raises(openai.APIStatusError, match="Too large for me"):
            client.audio.transcriptions.create(model=name, file=("a.wav", recording))
        refused.exception(20)
    gateway.wait_until(lambda: on_disk(gateway) == 0 and not held_by(gateway))


def test_what_is_no_picture_is_refused_off_the_disk(client: OpenAI, world: MediaWorld) -> None:
    world.sent.clear()
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.edit(model=world.name("image"), image=("a.png", os.urandom(3 * MIB)), prompt="a hat")
    assert (refused.value.param, refused.value.code) == ("image", "invalid_image")
    assert not world.sent


def test_many_at_once_do_not_fill_the_memory(
    gateway: GatewayProcess, world: MediaWorld, recording: bytes
) -> None:
    """Twelve of 20 MB: held in memory they would take 240 MB, and as much again to be sent."""
    key = gateway.new_key()

    def send(_: int) -> bool:
        with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=60) as client:
            client.audio.transcriptions.create(model=world.name("stt"), file=("a.wav", recording))
        return True

    world.sent.clear()
    Path(f"/proc/{gateway.pid}/clear_refs").write_text("5")  # the peak is that of what follows
    before = gateway.rss()
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(send, range(12)))
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert peak - before < 80 * MIB
    assert all(sent.form["file"][2] == recording for sent in world.sent)
    world.sent.clear()


def test_no_room_is_said_in_the_clients_words_and_counted(
    gateway: GatewayProcess, world: MediaWorld, key: VirtualKey, recording: bytes
) -> None:
    """Eight that are held back just before their end hold most of the room."""
    size = 31 * MIB
    holders = [socket.create_connection(("127.0.0.1", gateway.port), timeout=20) for _ in range(8)]
    refused = gateway.metric("aspendos_uploads_refused_total")
    try:
        for holder in holders:
            holder.sendall(
                f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.text}\r\n"
                f"content-type: multipart/form-data; boundary=b\r\ncontent-length: {size}\r\n\r\n".encode()
            )
            holder.sendall(bytes(size - 1000))
        gateway.wait_until(lambda: on_disk(gateway) > 8 * 30 * MIB)
        assert len(held_by(gateway)) == 8
        with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=30) as client:
            with pytest.raises(openai.InternalServerError) as full:
                client.audio.transcriptions.create(model=world.name("stt"), file=("a.wav", recording))
            assert (full.value.status_code, full.value.code) == (503, "storage_unavailable")
            assert full.value.response.headers["retry-after"] == "5"
            small = client.audio.transcriptions.create(model=world.name("stt"), file=("a.wav", sound_file()))
            assert small.text == "Good day."
        assert gateway.metric("aspendos_uploads_refused_total") == refused + 1
    finally:
        for holder in holders:
            holder.close()
    gateway.wait_until(lambda: on_disk(gateway) == 0 and not held_by(gateway))


def test_a_killed_gateway_leaves_nothing(gateway: GatewayProcess, key: VirtualKey) -> None:
    folder = gateway.data_dir / "tmp"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(
            f"POST /v1/images/edits HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.text}\r\n"
            f"content-type: multipart/form-data; boundary=b\r\ncontent-length: {9 * MIB}\r\n\r\n".encode()
        )
        client.sendall(bytes(8 * MIB))
        gateway.wait_until(lambda: on_disk(gateway) > 7 * MIB)
        assert len(held_by(gateway)) == 1
        assert folder.is_dir()
        assert not list(folder.iterdir())
        gateway.kill9()
    assert not list(folder.iterdir())
    gateway.restart()
