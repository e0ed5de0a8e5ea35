"""The lanes of sound and pictures in OpenAI's format: only the model's name is patched. Pure.

(https://platform.openai.com/docs/api-reference/audio, https://platform.openai.com/docs/api-reference/images)
"""

from inference.codecs.form import Form, patched
from inference.ir.bulk import Flowing
from inference.ir.usage import UsageSource
from inference.providers.openai.chat_answer import reported
from inference.providers.openai.media_tap import MediaTap
from inference.providers.openai.media_usage import usage_in
from inference.renaming_lane import RenamingLane
from inference.wire import Completed, Original, StreamOptions

_OURS = frozenset({"aspendos"})


class MediaLane(RenamingLane):
    """A request in JSON. The answer need not be: a transcription may be plain text."""

    def __init__(self, path: str) -> None:
        super().__init__(path, usage_in)

    def completion(self, body: bytes) -> Completed:
        """What the answer took. Raises an AspendosError for a failure reported with status 200."""
        measured = super().completion(body)
        if measured.usage.source is UsageSource.NONE and body[:1] == b"{":
            error = reported(body)
            if error is not None:
                raise error
        return measured

    def stream(self, options: StreamOptions | None) -> MediaTap:
        """The tap for one stream."""
        return MediaTap()


class FormLane(MediaLane):
    """A request as a form with files: every byte but the model's name goes on as it came, boundary included."""

    def filled(self, form: Form, asked: Original, model: str) -> bytes | Flowing:
        """The form as it came where nothing in it is to be another."""
        if asked.model == model and not asked.hints and form.whole:
            return form.body
        return patched(form, {"model": model}, without=_OURS)


def media_lanes(root: str = "") -> dict[str, MediaLane]:
    """The lanes by their routes; `root` is what comes before OpenAI's paths."""
    return {
        "speech": MediaLane(f"{root}/audio/speech"),
        "transcriptions": FormLane(f"{root}/audio/transcriptions"),
        "translations": FormLane(f"{root}/audio/translations"),
        "images": MediaLane(f"{root}/images/generations"),
        "image_edits": FormLane(f"{root}/images/edits"),
        "image_variations": FormLane(f"{root}/images/variations"),
    }
