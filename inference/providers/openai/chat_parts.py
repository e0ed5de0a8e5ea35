"""Parts of a message written down in OpenAI's chat format. Pure.

What the format cannot say is either named as dropped (a hint, a note) or refused (what was asked about).
(https://platform.openai.com/docs/api-reference/chat/create, `messages`)
"""

from collections.abc import Mapping
from typing import Any

from inference.codecs.data_url import STORES, written_url
from inference.ir.content import (
    Audio,
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Rest,
    Source,
    Text,
    Video,
)
from inference.ir.errors import InvalidField
from inference.providers.openai.chat_traits import ChatTraits

_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
}

Item = Mapping[str, Any]


class PartWriter:
    """`own`: the client speaks this very format, so all it said goes out as it came."""

    def __init__(self, traits: ChatTraits, dropped: list[str], *, own: bool) -> None:
        self._traits = traits
        self._dropped = dropped
        self._own = own

    def item(self, part: Part, path: str) -> Any:
        """One entry of a content array; None for what is dropped. Raises InvalidField."""
        match part:
            case Text():
                return self.beside({"type": "text", "text": part.text}, part, path)
            case Image():
                return self.beside(self._image(part, path), part, path, "image_url")
            case Audio():
                return self.beside(self.audio(part, path), part, path, "input_audio")
            case Video():
                url = self._address(part.source, path, "video")
                return self.beside({"type": "video_url", "video_url": {"url": url}}, part, path)
            case File():
                return self.beside(self.file(part, path), part, path, "file")
            case Refusal():
                return {"type": "refusal", "refusal": part.text}
            case Opaque(family=Family.OPENAI_CHAT, raw=raw) if self._own:
                return raw
            case _:
                self._dropped.append(path)
                return None

    def beside(
        self,
        item: dict[str, Any],
        part: Text | Image | Audio | Video | File,
        path: str,
        inner: str = "",
    ) -> dict[str, Any]:
        """The item with its hint to cache and what only one family knows of it; `inner.x` goes one level deeper."""
        if part.cache is not None:
            if self._own:
                item["cache_control"] = cache_control(part.cache)
            else:
                self._dropped.append(f"{path}.cache_control")
        for name, value in self.own_rest(part.rest, path).items():
            outer, _, field = name.rpartition(".")
            (item[inner] if outer and outer == inner else item)[field or name] = value
        return item

    def own_rest(self, rest: Rest, path: str) -> Rest:
        """What goes back unchanged; for a client of another family nothing, and each by name."""
        if self._own or not rest:
            return rest
        self._dropped.extend(f"{path}.{name}" for name in rest)
        return {}

    def file(self, file: File, path: str) -> dict[str, Any]:
        """A document by its bytes or OpenAI's id for it, or its text where that is all it is."""
        self.notes(file, path)
        source = file.source
        if source is None:
            return {"type": "text", "text": file.text or ""}
        said: dict[str, Any] = {}
        if source.file_id is not None:
            self._only_own(path, "a file by the id of another provider")
            said["file_id"] = source.file_id
        elif source.url is not None:
            self._only_own(path, "a file by its address; send its bytes")
            said["file_data"] = source.url
        else:
            said["file_data"] = written_url(source) if source.media_type else source.data
        if file.name is not None:
            said["filename"] = file.name
        elif not self._own:
            said["filename"] = "document.pdf"  # OpenAI refuses bytes without a name
        return {"type": "file", "file": said}

    def notes(self, file: File, path: str) -> None:
        """What is said about a document, and has no place here."""
        for name in ("title", "context", "citations"):
            if getattr(file, name) is not None:
                self._dropped.append(f"{path}.{name}")

    def _image(self, image: Image, path: str) -> dict[str, Any]:
        url = written_url(image.source)
        if not url:
            raise unable(path, "an image by the id of another provider; send its bytes or address")
        if url.startswith(STORES):
            raise unable(path, "an image from another provider's store; send its bytes or an https address")
        said = {"url": url}
        if image.detail is not None:
            said["detail"] = image.detail
        return {"type": "image_url", "image_url": said}

    def audio(self, audio: Audio, path: str) -> dict[str, Any]:
        """Sound, by its bytes where nothing else is taken."""
        source = audio.source
        if source.data is None:
            return {"type": "audio_url", "audio_url": {"url": self._address(source, path, "audio")}}
        said = {"data": source.data}
        if source.media_type is not None:
            said["format"] = _FORMATS.get(source.media_type, source.media_type.rpartition("/")[2])
        return {"type": "input_audio", "input_audio": said}

    def _address(self, source: Source, path: str, what: str) -> str:
        url = written_url(source)
        if not url or not (self._own or self._traits.by_address):
            raise unable(path, f"{what} given this way")
        return url

    def _only_own(self, path: str, what: str) -> None:
        if not self._own:
            raise unable(path, what)


def cache_control(hint: CacheHint) -> dict[str, str]:
    """The hint in Anthropic's words, which OpenAI's kin took over."""
    return {"type": "ephemeral"} | ({"ttl": "1h"} if hint is CacheHint.ONE_HOUR else {})


def unable(path: str, what: str) -> InvalidField:
    """The refusal of what must not be left out."""
    return InvalidField(
        f"Invalid value for `{path}`: what serves this model does not take {what}.",
        param=path,
        code="not_translatable",
    )
