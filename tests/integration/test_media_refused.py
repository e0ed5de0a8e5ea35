"""Requests for sound and pictures that cannot be served: what is said, and that nothing reaches a provider."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from inference.codecs.form import MOST_PARTS
from tests.harness import GatewayProcess, VirtualKey
from tests.media_peers import picture_file, sound_file
from tests.media_world import MediaWorld, media_world

STT, EDIT, SPEECH, IMAGES = (
    "/v1/audio/transcriptions",
    "/v1/images/edits",
    "/v1/audio/speech",
    "/v1/images/generations",
)


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[MediaWorld]:
    with media_world(gateway) as opened:
        yield opened


@pytest.fixture
def post(gateway: GatewayProcess, key: VirtualKey, world: MediaWorld) -> Any:
    """Send, expect a refusal, and nothing at a provider."""

    def send(path: str, status: int, **given: Any) -> dict[str, Any]:
        headers = {**key.bearer, **given.pop("headers", {})}
        answer: httpx.Response = gateway.http.post(f"{gateway.url}{path}", headers=headers, **given)
        assert answer.status_code == status, answer.text
        assert not world.sent
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    world.sent.clear()
    return send


def files(**more: Any) -> dict[str, Any]:
    return {"file": ("a.wav", sound_file(), "audio/wav"), **more}


def test_a_form_without_its_file(post: Any, world: MediaWorld) -> None:
    error = post(STT, 400, files={"model": (None, world.name("stt"))})
    assert (error["param"], error["code"]) == ("file", "missing_field")
    error = post(STT, 400, files={"model": (None, world.name("stt")), "file": (None, "words")})
    assert error["param"] == "file"
    assert "filename" in error["message"]
    error = post(STT, 400, data={"model": world.name("stt")}, files={"file": ("a.wav", b"")})
    assert (error["param"], error["message"]) == ("file", "The file in `file` is empty.")


def test_a_form_without_a_model(post: Any) -> None:
    assert post(STT, 400, files=files())["param"] == "model"
    assert post(EDIT, 400, data={"prompt": "a"}, files={"image": picture_file()})["param"] == "model"


@pytest.mark.parametrize(
    ("field", "value"),
    [("response_format", "docx"), ("stream", "perhaps"), ("model", "nobody")],
)
def test_a_field_with_a_value_that_is_none(post: Any, world: MediaWorld, field: str, value: str) -> None:
    status = 404 if field == "model" else 400
    error = post(STT, status, data={"model": world.name("stt"), field: value}, files=files())
    assert error["param"] == field


def test_speech_that_cannot_be_had(post: Any, world: MediaWorld) -> None:
    body = {"model": world.name("tts"), "input": "a", "voice": "alloy"}
    for field, value in {
        "response_format": "docx",
        "input": "",
        "speed": 9,
        "stream_format": "smoke",
    }.items():
        assert post(SPEECH, 400, json={**body, field: value})["param"] == field
    del body["voice"]
    assert post(SPEECH, 400, json=body)["param"] == "voice"
    error = post(SPEECH, 400, content=b"{", headers={"content-type": "application/json"})
    assert error["code"] == "invalid_json"
    assert post(SPEECH, 415, data={"model": "a"}, files=files())["code"] == "unsupported_media_type"
    assert (
        post(SPEECH, 400, json={**body, "voice": "a", "model": world.name("stt")})["code"]
        == "wrong_model_kind"
    )


def test_pictures_that_cannot_be_had(post: Any, world: MediaWorld) -> None:
    body = {"model": world.name("image"), "prompt": "a"}
    for field, value in {"n": 0, "size": "huge", "response_format": "docx", "prompt": ""}.items():
        assert post(IMAGES, 400, json={**body, field: value})["param"] == field


def test_what_is_no_picture_goes_nowhere(post: Any, world: MediaWorld) -> None:
    form = {"model": world.name("image"), "prompt": "a"}
    error = post(EDIT, 400, data=form, files={"image": ("a.png", b"no picture", "image/png")})
    assert (error["param"], error["code"]) == ("image", "invalid_image")
    error = post(EDIT, 400, data=form, files={"image": picture_file(), "mask": ("m.png", b"no")})
    assert (error["param"], error["code"]) == ("mask", "invalid_image")
    assert post(EDIT, 400, data=form, files={"mask": picture_file()})["param"] == "image"
    error = post(EDIT, 400, data={**form, "n": "many"}, files={"image": picture_file()})
    assert error["param"] == "n"
    pictures = [("image[]", ("a.png", picture_file())) for _ in range(17)]
    assert post(EDIT, 400, data=form, files=pictures)["param"] == "image"


def test_an_upload_of_fifty_megabytes(post: Any, world: MediaWorld) -> None:
    error = post(EDIT, 413, data={"model": world.name("image")}, files={"image": b"\0" * 50_000_000})
    assert error["code"] == "request_too_large"


def test_json_where_a_form_is_wanted(post: Any, world: MediaWorld) -> None:
    error = post(STT, 415, json={"model": world.name("stt")})
    assert error["code"] == "unsupported_media_type"
    assert "multipart/form-data" in error["message"]
    post(STT, 415, content=b"a", headers={"content-type": "multipart/form-data"})


def test_a_form_of_another_boundary(post: Any) -> None:
    body = b'--a\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n--a--\r\n'
    error = post(STT, 400, content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert error["code"] == "invalid_form"


def test_too_many_fields_and_too_large_ones(post: Any, world: MediaWorld) -> None:
    many = {f"f{number}": "a" for number in range(MOST_PARTS)}
    assert post(STT, 400, data=many, files=files())["code"] == "too_many_fields"
    long = {"model": world.name("stt"), "prompt": "a" * 1_100_000}
    error = post(STT, 400, data=long, files=files())
    assert (error["param"], error["code"]) == ("prompt", "field_too_large")


def test_an_upload_that_is_cut(
    world: MediaWorld, gateway: GatewayProcess, key: VirtualKey, post: Any
) -> None:
    """Cut in the form with the length kept, it is a form without its end; cut on the wire, nobody is left to hear."""
    whole = httpx.Request("POST", gateway.url, data={"model": world.name("stt")}, files=files())
    whole.read()
    kind = whole.headers["content-type"]
    error = post(STT, 400, content=whole.content[:-30], headers={"content-type": kind})
    assert error["code"] == "invalid_form"
    head = (
        f"POST {STT} HTTP/1.1\r\nhost: a\r\nauthorization: {key.bearer['authorization']}\r\n"
        f"content-type: {kind}\r\ncontent-length: {len(whole.content)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(head + whole.content[: len(whole.content) // 2])
        time.sleep(0.1)
    gateway.wait_until(lambda: len(gateway.usage(key=key.id)) == 2)
    cut = gateway.usage(key=key.id)[0]
    assert (cut.error, cut.cost_nano, cut.audio_ms) == ("client_closed_request", 0, 0)
    assert not world.sent


def test_a_form_goes_on_byte_for_byte(world: MediaWorld, gateway: GatewayProcess, key: VirtualKey) -> None:
    """Only the model's name is another; fields nobody here knows, and hints to the gateway, are treated as ever."""
    body = (
        b'--=_x.y\r\ncontent-disposition: form-data; name="aspendos"\r\n\r\n{"tags": {"project": "atlas"}}\r\n'
        b'--=_x.y\r\nContent-Disposition: form-data; name="model"\r\nX-Odd: 1\r\n\r\n%s\r\n'
        b'--=_x.y\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xa4.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n%s\r\n"
        b'--=_x.y\r\nContent-Disposition: form-data; name="unheard[of]"\r\n\r\n \r\n--=_x.y--\r\n\r\n'
    )
    sound = sound_file(100)
    answer = gateway.http.post(
        f"{gateway.url}{STT}",
        content=body % (world.name("stt").encode(), sound),
        headers={**key.bearer, "content-type": 'Multipart/Form-Data; boundary="=_x.y"'},
    )
    assert answer.status_code == 200, answer.text
    assert world.last().body == body.partition(b"\r\n--")[2].join((b"--", b"")) % (b"whisper-1", sound)
    assert world.last().headers["content-type"] == 'Multipart/Form-Data; boundary="=_x.y"'
    assert gateway.record(key).tags == {"project": "atlas"}
