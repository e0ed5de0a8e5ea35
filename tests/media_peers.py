"""What fake providers of sound and pictures answer, each strict about what it is sent."""

import base64
import io
import json
import struct
import wave
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from PIL import Image

from inference.codecs.form import read_form
from tests.harness import UPSTREAM_KEY

SOUND = b"ID3" + bytes(range(256)) * 64
PICTURE = "iVBORw0KGgo="
SPEECH_EVENTS = (
    b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
    b'data: {"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":40,"total_tokens":45}}\n\n'
)
TRANSCRIPT_EVENTS = (
    b'data: {"type":"transcript.text.delta","delta":"Good "}\n\n'
    b'data: {"type":"transcript.text.delta","delta":"day."}\n\n'
    b'data: {"type":"transcript.text.done","text":"Good day.","usage":{"type":"tokens","input_tokens":14,'
    b'"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":4,"total_tokens":18}}\n\n'
)
IMAGE_EVENTS = (
    b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"'
    + b"A" * 100_000
    + b'","partial_image_index":0}\n\nevent: image_generation.completed\ndata: {"type":"image_generation.completed",'
    b'"b64_json":"'
    + PICTURE.encode()
    + b'","usage":{"input_tokens":9,"output_tokens":300,"total_tokens":309,'
    b'"input_tokens_details":{"text_tokens":9,"image_tokens":0}}}\n\n'
)
IMAGE_USAGE = {
    "input_tokens": 50,
    "output_tokens": 272,
    "total_tokens": 322,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


class Sent(Struct):
    """One request as a provider received it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, where it is JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, Any]:
        """The body, where it is a form: texts, and files as (filename, content type, bytes)."""
        form = read_form(self.body)
        assert f"boundary={form.boundary.decode()}" in self.headers["content-type"].replace('"', "")
        return {
            part.name: form.read(part)
            if part.filename is None
            else (part.filename, part.content_type, form.value(part))
            for part in form.parts
        }


class Answer(Struct):
    """What a provider says."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


def as_json(value: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(value).encode(), status=status)


def sound_file(milliseconds: int = 1500) -> bytes:
    """A WAV of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(struct.pack("<h", 0) * (16 * milliseconds))
    return held.getvalue()


def picture_file(width: int = 8, height: int = 8) -> bytes:
    """A PNG."""
    held = io.BytesIO()
    Image.new("RGBA", (width, height), (255, 0, 0, 255)).save(held, "PNG")
    return held.getvalue()


def _speech(sent: Sent) -> Answer:
    asked = sent.json
    if asked.get("stream_format") == "sse":
        return Answer(SPEECH_EVENTS, "text/event-stream")
    return Answer(SOUND, "audio/mpeg")


def _transcription(sent: Sent) -> Answer:
    asked = sent.form
    wanted = asked.get("response_format", "json")
    if asked.get("stream") == "true":
        return Answer(TRANSCRIPT_EVENTS, "text/event-stream")
    if wanted in ("text", "srt", "vtt"):
        return Answer(b"Good day.\n", "text/plain; charset=utf-8")
    if wanted == "verbose_json":
        return as_json({"task": "transcribe", "language": "english", "duration": 2.25, "text": "Good day."})
    return as_json({"text": "Good day.", "usage": {"type": "duration", "seconds": 3}})


def _images(sent: Sent) -> Answer:
    asked = sent.json
    if asked.get("stream"):
        return Answer(IMAGE_EVENTS, "text/event-stream")
    one = (
        {"url": "https://example.com/a.png"}
        if asked.get("response_format") == "url"
        else {"b64_json": PICTURE}
    )
    return as_json({"created": 1, "data": [one] * (asked.get("n") or 1), "usage": IMAGE_USAGE})


def _pictures(sent: Sent) -> Answer:
    return as_json({"created": 1, "data": [{"b64_json": PICTURE}] * int(sent.form.get("n", 1))})


def _elevenlabs_speech(sent: Sent) -> Answer:
    formats = {"mp3_44100_128": "audio/mpeg", "pcm_24000": "audio/pcm", "wav_24000": "audio/wav"}
    if sent.query["output_format"] not in formats or not {"text", "model_id"} <= sent.json.keys():
        return as_json({"detail": [{"loc": ["query", "output_format"], "msg": "unknown"}]}, 422)
    return Answer(SOUND, formats[sent.query["output_format"]])


def _elevenlabs_transcript(sent: Sent) -> Answer:
    asked = sent.form
    if "model_id" not in asked or not isinstance(asked.get("file"), tuple):
        return as_json({"detail": {"status": "invalid", "message": "file or model_id missing"}}, 400)
    words = [("Good", 0.1, 0.4, "word"), (" ", 0.4, 0.5, "spacing"), ("day.", 0.5, 0.9, "word")]
    return as_json(
        {
            "language_code": "eng",
            "language_probability": 0.98,
            "text": "Good day.",
            "words": [
                {"text": text, "start": start, "end": end, "type": kind, "logprob": -0.1}
                for text, start, end, kind in words
            ],
            "transcription_id": "t1",
        }
    )


def _deepgram_speech(sent: Sent) -> Answer:
    if sent.json.keys() != {"text"} or not sent.query.get("model", "").startswith("aura-"):
        return as_json({"err_code": "INVALID_QUERY_PARAMETER", "err_msg": "model", "request_id": "r"}, 400)
    return Answer(SOUND, "audio/mpeg" if sent.query["encoding"] == "mp3" else "audio/l16;rate=24000")


def _deepgram_transcript(sent: Sent) -> Answer:
    if not sent.body.startswith(b"RIFF"):
        return as_json(
            {"err_code": "Bad Request", "err_msg": "corrupt or unsupported data", "request_id": "r"}, 400
        )
    words = [("good", "Good", 0.1, 0.4), ("day", "day.", 0.5, 0.9)]
    alternative = {
        "transcript": "Good day.",
        "confidence": 0.99,
        "words": [
            {"word": word, "punctuated_word": written, "start": start, "end": end, "confidence": 0.9}
            for word, written, start, end in words
        ],
    }
    return as_json(
        {
            "metadata": {
                "request_id": "r",
                "created": "2026-01-01T00:00:00Z",
                "duration": 1.5,
                "channels": 1,
            },
            "results": {
                "channels": [{"alternatives": [alternative], "detected_language": "en"}],
                "utterances": [{"start": 0.1, "end": 0.9, "transcript": "Good day.", "id": "u"}],
            },
        }
    )


def _stability(sent: Sent) -> Answer:
    asked = sent.form
    if sent.headers["accept"] != "application/json" or not asked.get("prompt"):
        return as_json({"id": "1", "name": "bad_request", "errors": ["prompt: required"]}, 400)
    if asked["prompt"] == "forbidden":
        return as_json({"id": "1", "name": "content_moderation", "errors": ["flagged"]}, 403)
    reason = "CONTENT_FILTERED" if asked["prompt"] == "filtered" else "SUCCESS"
    return as_json({"image": PICTURE, "finish_reason": reason, "seed": 1})


def _fal_submit(sent: Sent) -> Answer:
    if "prompt" not in sent.json:
        return as_json(
            {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}, 422
        )
    here = "https://queue.fal.run/fal-ai/flux/requests/80e7"
    return as_json(
        {
            "status": "IN_QUEUE",
            "request_id": "80e7",
            "response_url": here,
            "status_url": f"{here}/status",
            "cancel_url": f"{here}/cancel",
            "queue_position": 0,
        }
    )


def _fal_result(sent: Sent) -> Answer:
    made = {"url": "https://fal.media/files/a.png", "content_type": "image/png", "width": 512, "height": 512}
    return as_json({"images": [made], "seed": 7, "prompt": "a hat", "has_nsfw_concepts": [False]})


def _google_speech(sent: Sent) -> Answer:
    asked = sent.json
    voice, config = asked["voice"], asked["audioConfig"]
    if not voice["name"].startswith(voice["languageCode"]) or config["audioEncoding"] not in (
        "MP3",
        "LINEAR16",
    ):
        return as_json({"error": {"code": 400, "message": "voice", "status": "INVALID_ARGUMENT"}}, 400)
    return as_json({"audioContent": base64.b64encode(SOUND).decode()})


def _google_transcript(sent: Sent) -> Answer:
    asked = sent.json
    if base64.b64decode(asked["audio"]["content"]) != sound_file() or "languageCode" not in asked["config"]:
        return as_json({"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}, 400)
    words = [("Good", "0.100s", "0.400s"), ("day.", "0.500s", "0.900s")]
    alternative = {
        "transcript": "Good day.",
        "confidence": 0.9,
        "words": [{"word": word, "startTime": start, "endTime": end} for word, start, end in words],
    }
    return as_json(
        {
            "results": [{"alternatives": [alternative], "resultEndTime": "1.500s", "languageCode": "en-us"}],
            "totalBilledTime": "2s",
            "requestId": "1",
        }
    )


def _azure_speech(sent: Sent) -> Answer:
    if (
        sent.headers["content-type"] != "application/ssml+xml"
        or "x-microsoft-outputformat" not in sent.headers
    ):
        return Answer(b"", status=415)
    return Answer(SOUND, "audio/mpeg")


def _azure_transcript(sent: Sent) -> Answer:
    asked = sent.form
    if sent.query != {"api-version": "2024-11-15"} or json.loads(asked["definition"]) != {
        "locales": ["en-US"]
    }:
        return as_json({"code": "InvalidRequest", "message": "bad"}, 400)
    words = [("Good", 100, 300), ("day.", 500, 400)]
    return as_json(
        {
            "durationMilliseconds": 1500,
            "combinedPhrases": [{"text": "Good day."}],
            "phrases": [
                {
                    "offsetMilliseconds": 100,
                    "durationMilliseconds": 800,
                    "text": "Good day.",
                    "words": [
                        {"text": text, "offsetMilliseconds": at, "durationMilliseconds": length}
                        for text, at, length in words
                    ],
                    "locale": "en-US",
                    "confidence": 0.9,
                }
            ],
        }
    )


def _gemini(sent: Sent) -> Answer:
    asked = sent.json
    wanted = asked["generationConfig"]["responseModalities"]
    kind, data = (
        ("audio/L16;codec=pcm;rate=24000", bytes(480)) if wanted == ["AUDIO"] else ("image/png", b"picture")
    )
    if not asked["contents"][0]["parts"][0]["text"]:
        return as_json({"error": {"code": 400, "message": "empty", "status": "INVALID_ARGUMENT"}}, 400)
    part = {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}
    modality = {"modality": wanted[-1], "tokenCount": 1290}
    return as_json(
        {
            "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 8,
                "candidatesTokenCount": 1290,
                "candidatesTokensDetails": [modality],
            },
        }
    )


KEYS = {
    "/gemini/": ("x-goog-api-key", UPSTREAM_KEY),
    "/google/": ("x-goog-api-key", UPSTREAM_KEY),
    "/azure/": ("ocp-apim-subscription-key", UPSTREAM_KEY),
    "/openai/": ("authorization", f"Bearer {UPSTREAM_KEY}"),
    "/elevenlabs/": ("xi-api-key", UPSTREAM_KEY),
    "/deepgram/": ("authorization", f"Token {UPSTREAM_KEY}"),
    "/stability/": ("authorization", f"Bearer {UPSTREAM_KEY}"),
    "/fal/": ("authorization", f"Key {UPSTREAM_KEY}"),
}
"""Which header each provider wants its key in."""
ANSWERS: dict[str, Callable[[Sent], Answer]] = {
    "/gemini/models/gemini-image:generateContent": _gemini,
    "/gemini/models/gemini-tts:generateContent": _gemini,
    "/google/v1/text:synthesize": _google_speech,
    "/google/v1/speech:recognize": _google_transcript,
    "/azure/cognitiveservices/v1": _azure_speech,
    "/azure/speechtotext/transcriptions:transcribe": _azure_transcript,
    "/elevenlabs/v1/text-to-speech/Rachel%2F1": _elevenlabs_speech,
    "/elevenlabs/v1/speech-to-text": _elevenlabs_transcript,
    "/deepgram/v1/speak": _deepgram_speech,
    "/deepgram/v1/listen": _deepgram_transcript,
    "/stability/v2beta/stable-image/generate/core": _stability,
    "/stability/v2beta/stable-image/generate/sd3": _stability,
    "/fal/fal-ai/flux/dev": _fal_submit,
    "/fal/fal-ai/flux/requests/80e7": _fal_result,
    "/openai/v1/audio/speech": _speech,
    "/openai/v1/audio/transcriptions": _transcription,
    "/openai/v1/audio/translations": _transcription,
    "/openai/v1/images/generations": _images,
    "/openai/v1/images/edits": _pictures,
    "/openai/v1/images/variations": _pictures,
}
