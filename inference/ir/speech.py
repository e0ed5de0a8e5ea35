"""Speech: a text to be spoken, and the sound of it. Pure."""

from msgspec import Struct

from inference.ir.content import NO_REST, Rest
from inference.ir.usage import NO_USAGE, Usage


class SpeechRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used, `voice` the provider's own name of one. `format` is one of OpenAI's words
    (mp3, opus, aac, flac, wav, pcm); None: not said, which is mp3. `speed` 1 is the usual one. `instructions` say how
    it is to be spoken. `rest` is what has no word here."""

    model: str
    text: str
    voice: str
    format: str | None = None
    speed: float | None = None
    instructions: str | None = None
    rest: Rest = NO_REST


class SpeechResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sound, whole."""

    audio: bytes
    content_type: str
    usage: Usage = NO_USAGE
