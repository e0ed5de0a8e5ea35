"""Writing: parts as Anthropic's content blocks, in requests and answers alike. Pure.

What a block cannot say is named, by its place, in a list the caller brings.
(https://docs.anthropic.com/en/api/messages)
"""

from collections.abc import Iterable, Sequence

from msgspec import Raw

from inference.codecs.anthropic.call_ids import CALL_ID
from inference.codecs.anthropic.reading import SEARCH_RESULT
from inference.codecs.anthropic.seals import seal, text_seal
from inference.codecs.arguments import object_in, written_arguments
from inference.codecs.blank_texts import without_blanks
from inference.codecs.call_id import fitting
from inference.codecs.plain_text import plain_text
from inference.ir.content import (
    Audio,
    CacheHint,
    Citation,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Rest,
    Source,
    Text,
    ToolCall,
    ToolResult,
    lone_text,
)

Block = dict[str, object]

_MARKS: dict[CacheHint, dict[str, str]] = {
    CacheHint.FIVE_MINUTES: {"type": "ephemeral"},
    CacheHint.ONE_HOUR: {"type": "ephemeral", "ttl": "1h"},
}
_MAGIC = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the files that Anthropic takes begin, in base64."""


class BlockWriter:
    """Writes parts for a reader of Anthropic's family. `own`: they came from that family.

    `answer`: they are a model's words for a client, so that unsigned thought is welcome. `dropped` gets the names.
    """

    def __init__(self, *, own: bool, answer: bool, dropped: list[str]) -> None:
        self._own = own
        self._answer = answer
        self.dropped = dropped

    def blocks(self, parts: Sequence[Part], path: str) -> list[Block | Raw]:
        """The blocks of one message, in their order."""
        text = lone_text(parts)
        if text and (self._answer or not text.isspace()):
            return [{"type": "text", "text": text}]
        written: list[Block | Raw] = []
        for at, part in enumerate(parts):
            block = self.block(part, f"{path}[{at}]")
            if block is not None:
                written.append(block)
            sealed = text_seal(part) if self._answer and isinstance(part, Text) and part.signature else None
            if sealed is not None:
                written.append({"type": "thinking", "thinking": "", "signature": sealed})
        return written if self._answer or self._own else without_blanks(written)

    def block(self, part: Part, path: str) -> Block | Raw | None:
        """One block, None for a part that cannot be said at all."""
        match part:
            case Text():
                return self._text(part, path)
            case Refusal():
                return {"type": "text", "text": part.text} if part.text else None
            case Reasoning():
                return self._reasoning(part, path)
            case ToolCall():
                return self._call(part, path)
            case ToolResult():
                return self._result(part, path)
            case Image():
                return self._image(part, path)
            case File():
                return self._file(part, path)
            case Opaque() if part.family is Family.ANTHROPIC:
                return part.raw
            case Audio(transcript=str(said)) if said:
                self.dropped.append(f"{path}.audio")
                return {"type": "text", "text": said}
            case _:
                return self._drop(path)

    def _drop(self, path: str) -> None:
        self.dropped.append(path)

    def _more(self, block: Block, cache: CacheHint | None, rest: Rest, path: str) -> Block:
        """With what is common to all blocks."""
        if cache is not None:
            block["cache_control"] = _MARKS[cache]
        if rest:
            if self._own:
                block.update(rest)
            else:
                self.dropped += [f"{path}.{name}" for name in rest]
        return block

    def _text(self, part: Text, path: str) -> Block | None:
        if part.signature is not None and not self._answer:
            self.dropped.append(f"{path}.signature")
        if not part.text and not self._own and not part.citations:
            return None  # Anthropic takes no empty text
        block: Block = {"type": "text", "text": part.text}
        if part.citations:
            cited = [found for each in part.citations if (found := citation(each)) is not None]
            if len(cited) < len(part.citations):
                self.dropped.append(f"{path}.citations")
            if cited:
                block["citations"] = cited
        return self._more(block, part.cache, part.rest, path)

    def _reasoning(self, part: Reasoning, path: str) -> Block | None:
        own = part.issuer is Family.ANTHROPIC
        if own and part.redacted is not None:
            return self._more({"type": "redacted_thinking", "data": part.redacted}, None, part.rest, path)
        if not self._answer and not (own and part.signature is not None):
            return self._drop(path)  # nobody's, or another's: Anthropic takes back only what it signed
        said = part.text or "\n\n".join(part.summaries)
        sealed = seal(part.issuer, part.signature, part.redacted, part.id)
        block: Block = {"type": "thinking", "thinking": said, "signature": sealed}
        return self._more(block, None, part.rest, path)

    def _call(self, part: ToolCall, path: str) -> Block:
        given = tool_input(part.arguments) if self._answer else written_arguments(part, path)
        block: Block = {"type": "tool_use", "id": self._id(part.id), "name": part.name, "input": given}
        if part.signature is not None:
            if self._answer:
                block["signature"] = seal(part.issuer, part.signature)
            else:
                self.dropped.append(f"{path}.signature")
        return self._more(block, part.cache, part.rest, path)

    def _id(self, given: str) -> str:
        """Anthropic refuses ids with other characters than its own; a client is told the provider's."""
        return given if self._answer else fitting(given, CALL_ID)

    def _result(self, part: ToolResult, path: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": self._id(part.call_id)}
        answered = self._answered(part.content, f"{path}.content") if part.content else ""
        if answered:
            block["content"] = answered
        if part.error:
            block["is_error"] = True
        return self._more(block, part.cache, part.rest, path)

    def _answered(self, content: Sequence[Part], path: str) -> str | list[Block | Raw]:
        only = content[0]
        if len(content) == 1 and isinstance(only, Text) and only.cache is None and not only.rest:
            return only.text if self._answer or self._own or not only.text.isspace() else ""
        return self.blocks(content, path)

    def _image(self, part: Image, path: str) -> Block | None:
        if self._answer:
            return self._drop(path)
        if part.detail not in (None, "auto"):
            self.dropped.append(f"{path}.detail")
        media_type = part.source.media_type or _sniffed(part.source.data)
        source = self._source(part.source, media_type)
        if source is None:
            return self._drop(path)
        return self._more({"type": "image", "source": source}, part.cache, part.rest, path)

    def _file(self, part: File, path: str) -> Block | Raw | None:
        if self._answer:
            return self._drop(path)
        if self._own and SEARCH_RESULT in part.rest:
            return part.rest[SEARCH_RESULT]
        source = self._document(part)
        if source is None:
            return self._drop(path)
        block: Block = {"type": "document", "source": source}
        title = part.title or part.name
        if title is not None:
            block["title"] = title
        if part.context is not None:
            block["context"] = part.context
        if part.citations is not None:
            block["citations"] = {"enabled": part.citations}
        return self._more(block, part.cache, part.rest, path)

    def _document(self, part: File) -> Block | None:
        if part.text is not None:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        given = part.source
        if given is None:
            return None
        kind = given.media_type or _document_type(given.data, part.name)
        if given.data is not None and kind != "application/pdf":
            text = plain_text(part)
            return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}
        return self._source(given, kind)

    def _source(self, given: Source, media_type: str | None) -> Block | None:
        if given.data is not None:
            if media_type is None:
                return None
            return {"type": "base64", "media_type": media_type, "data": given.data}
        if given.url is not None:
            return {"type": "url", "url": given.url}
        if self._own:
            return {"type": "file", "file_id": given.file_id}
        return None  # the file lies with another provider


def citation(given: Citation) -> Raw | Block | None:
    """A citation in Anthropic's words: its own as they were, another's where it has an address."""
    if given.family is Family.ANTHROPIC and given.raw is not None:
        return given.raw
    if given.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "url": given.url,
        "title": given.title,
        "cited_text": given.cited or "",
        "encrypted_index": "",
    }


def tool_input(arguments: str) -> Raw | Block:
    """A call's arguments as an object; where they are none, which Anthropic insists on, wrapped into one.

    The wrapping is the one Anthropic asks for
    (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming).
    """
    if not arguments.strip():
        return {}
    found = object_in(arguments)
    return {"INVALID_JSON": arguments} if found is None else found


def foreign(rest: Iterable[str], path: str = "") -> list[str]:
    """Names of fields that only another family knows."""
    return [f"{path}.{name}" if path else name for name in rest]


def _sniffed(data: str | None) -> str | None:
    return next((kind for magic, kind in _MAGIC if data is not None and data.startswith(magic)), None)


def _document_type(data: str | None, name: str | None) -> str | None:
    if data is not None and data.startswith("JVBER"):
        return "application/pdf"
    return "application/pdf" if name is not None and name.lower().endswith(".pdf") else None
