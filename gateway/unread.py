"""Unread: what a client wants a model to read is never left out, only refused. Pure.

Options and hints that a target has no word for are dropped by name. A recording, a film, a document or a picture is
what the question is about: an answer without having seen it would be to another question.
"""

import re
from collections.abc import Iterable, Sequence

from inference.ir.chat import Message, Role
from inference.ir.content import Audio, File, Image, Opaque, Part, ToolResult, Video
from inference.ir.errors import InvalidField

_PART = re.compile(r"messages\[(\d+)\]\.content\[(\d+)\](?:\.content\[(\d+)\])?")
_KINDS: tuple[tuple[type[Part], str, str], ...] = (
    (Image, "picture", "vision"),
    (Audio, "recording", "audio_input"),
    (Video, "film", "video_input"),
    (File, "file", "pdf_input"),
)


def refuse_unread(provider: str, dropped: Iterable[str], messages: Sequence[Message]) -> None:
    """Raises InvalidField, with the neutral path, where what was dropped is something to be read.

    What a model itself made is no such thing: it goes on without.
    """
    for name in dropped:
        found = _PART.fullmatch(name)
        if found is None:
            continue
        message = messages[int(found[1])]
        part: Part = message.parts[int(found[2])]
        if found[3] is not None and isinstance(part, ToolResult):
            part = part.content[int(found[3])]
        if message.role is not Role.ASSISTANT:
            _refuse(provider, name, part)


def _refuse(provider: str, path: str, part: Part) -> None:
    for kind, what, capability in _KINDS:
        if isinstance(part, kind):
            raise InvalidField(
                f"Invalid value for `{path}`: the provider `{provider}` cannot be given this {what}{_why(part)}, and "
                f"an answer without it would be to another question. {_instead(part, capability)}",
                param=path,
                code="not_translatable",
            )
    if isinstance(part, Opaque):
        raise InvalidField(
            f"Invalid value for `{path}`: the provider `{provider}` has no word for a part of type `{part.kind[:60]}`. "
            "Say it as text, or use a model whose provider speaks your dialect.",
            param=path,
            code="not_translatable",
        )


def _why(part: Part) -> str:
    source = part.source if isinstance(part, Image | Audio | Video | File) else None
    return ", which lies with another provider" if source is not None and source.file_id is not None else ""


def _instead(part: Part, capability: str) -> str:
    if _why(part):
        return "Send its bytes instead of its id."
    return f"Use a model that takes it: GET /v1/models names those with the capability `{capability}`."
