"""The routes of sound and pictures in OpenAPI: forms with files where JSON is usual, sound and text as answers."""

from typing import Any

import msgspec

from gateway.dialects.image_forms import ImageEditBody, ImageVariationBody
from gateway.dialects.images import ImageBody
from gateway.dialects.speech import SpeechBody
from gateway.dialects.transcriptions import AudioTranslationBody, TranscriptionBody
from inference.codecs.form import FORM

SURFACES: dict[str, tuple[str, str, type[msgspec.Struct], bool]] = {
    "/v1/audio/speech": ("createSpeech", "A text spoken", SpeechBody, True),
    "/v1/audio/transcriptions": ("createTranscription", "A recording written down", TranscriptionBody, True),
    "/v1/audio/translations": (
        "createAudioTranslation",
        "A recording written down in English",
        AudioTranslationBody,
        False,
    ),
    "/v1/images/generations": ("createImage", "Pictures from words", ImageBody, True),
    "/v1/images/edits": ("createImageEdit", "Pictures changed as words say", ImageEditBody, True),
    "/v1/images/variations": ("createImageVariation", "Pictures like another", ImageVariationBody, False),
}
_FORMS = (
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/images/edits",
    "/v1/images/variations",
)
_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"schema": {"type": "string"}}


def complete(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Say what the general description cannot: which requests are forms, and which answers are no JSON."""
    for path in _FORMS:
        request = paths[path]["post"]["requestBody"]
        request["content"] = {FORM: request["content"]["application/json"]}
    for name in (
        TranscriptionBody.__name__,
        AudioTranslationBody.__name__,
        ImageEditBody.__name__,
        ImageVariationBody.__name__,
    ):
        for field, said in schemas[name]["properties"].items():
            if field in ("file", "image", "mask"):
                schemas[name]["properties"][field] = dict(_BINARY)
            elif "anyOf" in said:  # a form has no null
                said["anyOf"] = [one for one in said["anyOf"] if one.get("type") != "null"]
                said.pop("default", None)
    answers = _answers(paths, "/v1/audio/speech")
    del answers["application/json"]
    answers["audio/*"] = {"schema": dict(_BINARY)}
    for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        _answers(paths, path)["text/plain"] = _TEXT


def _answers(paths: dict[str, Any], path: str) -> dict[str, Any]:
    return paths[path]["post"]["responses"]["200"]["content"]
