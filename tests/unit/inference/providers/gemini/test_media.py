"""Pictures and speech by generateContent, held against what Google's own SDK makes of them."""

import base64
import json
from typing import Any

import pytest
from google.genai import types

from gateway.dialects.dialect import Setting
from gateway.dialects.speech import Speech
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled, UpstreamRefused
from inference.ir.image import ImageRequest, ImageTask, Upload
from inference.ir.speech import SpeechRequest
from inference.providers.gemini import WIRE

CARD = Model(name="m", kind=Kind.IMAGE, price=Price(input=0, output=0, version="v"))
IMAGES, SPEECH = WIRE.exchanges[Kind.IMAGE], WIRE.exchanges[Kind.SPEECH]
PICTURE = Upload(data=b"a", filename="a.png", content_type="image/png")
SETTING = Setting(id="r", model="m", created=0)


def answer(kind: str, data: bytes, **more: Any) -> bytes:
    part = {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}
    candidate = {"content": {"role": "model", "parts": [{"text": "Here:"}, part]}, "finishReason": "STOP"}
    return json.dumps({"candidates": [candidate], **more}).encode()


def draw(**fields: Any) -> Any:
    return IMAGES.request(ImageRequest(model="m", prompt="a hat", **fields), model="gemini-image", card=CARD)


def test_a_picture_is_asked_for_in_words_the_sdk_knows() -> None:
    out = draw(task=ImageTask.EDIT, images=(PICTURE,), size=(1792, 1024), quality="high")
    assert out.path == "/models/gemini-image:generateContent"
    body = json.loads(out.body)
    config = types.GenerateContentConfig.model_validate(body["generationConfig"])
    assert config.response_modalities == ["TEXT", "IMAGE"]
    assert body["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9"}
    content = types.Content.model_validate(body["contents"][0])
    assert content.parts is not None
    assert content.parts[0].text == "a hat"
    assert content.parts[1].inline_data is not None
    assert (content.parts[1].inline_data.data, content.parts[1].inline_data.mime_type) == (b"a", "image/png")
    assert out.dropped == ("size", "quality")


def test_a_picture_is_read_as_the_sdk_reads_it() -> None:
    usage = {
        "promptTokenCount": 8,
        "candidatesTokenCount": 1290,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    body = answer("image/png", b"picture", usageMetadata=usage)
    theirs = types.GenerateContentResponse.model_validate_json(body)
    told = IMAGES.answer(body, "application/json")
    assert theirs.parts is not None
    blob = theirs.parts[1].inline_data
    assert blob is not None
    assert [base64.b64decode(each.data) for each in told.pictures] == [blob.data]
    assert (told.format, told.usage.images, told.usage.image_output_tokens) == ("png", 1, 1290)


def test_speech_is_samples_and_becomes_a_file() -> None:
    asked = SpeechRequest(model="m", text="hi", voice="Kore", instructions="Say softly", speed=2.0)
    out = SPEECH.request(asked, model="gemini-tts", card=CARD)
    body = json.loads(out.body)
    assert body["contents"][0]["parts"] == [{"text": "Say softly: hi"}]
    config = types.SpeechConfig.model_validate(body["generationConfig"]["speechConfig"])
    assert config.voice_config is not None
    assert config.voice_config.prebuilt_voice_config is not None
    assert config.voice_config.prebuilt_voice_config.voice_name == "Kore"
    assert out.dropped == ("speed",)
    told = SPEECH.answer(answer("audio/L16;codec=pcm;rate=24000", b"\0\1" * 9), "application/json")
    assert told.audio == b"\0\1" * 9
    whole = Speech().answer(told, asked, SETTING)
    assert (whole.body[:4], whole.body[44:], whole.content_type) == (b"RIFF", told.audio, "audio/wav")
    plain = Speech().answer(told, SpeechRequest(model="m", text="hi", voice="Kore", format="pcm"), SETTING)
    assert (plain.body, plain.content_type) == (told.audio, "audio/L16;codec=pcm;rate=24000")


@pytest.mark.parametrize(
    ("fields", "param"), [({"task": ImageTask.VARY}, "image"), ({"n": 2}, "n"), ({"mask": PICTURE}, "mask")]
)
def test_what_cannot_be_said_there(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        draw(**fields)
    assert refused.value.param == param
    with pytest.raises(InvalidField):
        SPEECH.request(SpeechRequest(model="m", text="a", voice="v", format="mp3"), model="m", card=CARD)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, UpstreamRefused),
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, UpstreamRefused),
        ({"candidates": [{"content": {"parts": [{"text": "no"}]}, "finishReason": "STOP"}]}, UpstreamGarbled),
        ({"candidates": []}, UpstreamGarbled),
        ([], UpstreamGarbled),
    ],
)
def test_answers_without_a_picture(body: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        IMAGES.answer(json.dumps(body).encode(), "application/json")
