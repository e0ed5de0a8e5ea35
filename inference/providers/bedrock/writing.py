"""Writing: a conversation's turns as the messages of Converse. Pure.

Converse has one system prompt, before the conversation, so a system message in the middle joins it, at its end. Turns
of one role in a row become one, results of tools first. A mark for the cache is a block of its own behind the one that
is marked. (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html)
"""

import base64
import re
from collections.abc import Sequence

from msgspec import Raw, Struct

from inference.codecs.anthropic.writing import foreign
from inference.codecs.arguments import written_arguments
from inference.codecs.blank_texts import without_blanks
from inference.codecs.call_id import fitting
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import (
    Audio,
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
    lone_text,
)
from inference.providers.bedrock.media import MediaWriter
from inference.providers.bedrock.naming import Maker

Block = dict[str, object]
_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)
_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_CLAUDES_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IN_SYSTEM = ("text", "guardContent", "cachePoint")
_POINTS: dict[CacheHint, Block] = {
    CacheHint.FIVE_MINUTES: {"cachePoint": {"type": "default"}},
    CacheHint.ONE_HOUR: {"cachePoint": {"type": "default", "ttl": "1h"}},
}
_READERS = {
    Family.ANTHROPIC: (Maker.CLAUDE, Maker.HIDDEN),
    Family.BEDROCK: (Maker.NOVA, Maker.NOVA_2, Maker.GPT_OSS, Maker.QWEN, Maker.OTHER, Maker.HIDDEN),
}
"""Which models may be given whose signatures."""


class Turn(Struct):
    role: str
    content: list[Block | Raw]


class ConversationWriter:
    """One conversation, written: `system`, `messages`, `names` of the tools that were called in it, and `dropped`."""

    def __init__(self, asked: ChatRequest, made_by: Maker, *, caches: bool) -> None:
        """`caches`: the model knows marks for its cache. Raises InvalidField for what it cannot be shown."""
        self.system: list[Block | Raw] = []
        self.messages: list[Turn] = []
        self.names: list[str] = []
        self.dropped: list[str] = []
        self.marked = False
        self._answered = False
        self._own = asked.family is Family.BEDROCK
        self._made_by = made_by
        self._ids = _CLAUDES_ID if made_by is Maker.CLAUDE else _CALL_ID
        self._caches = caches
        self._media = MediaWriter()
        before, turn = "", list[Block | Raw]()
        for at, message in enumerate(asked.messages):
            path = f"messages[{at}]"
            blocks = self._turn(message, path)
            self.dropped += foreign(message.rest, path)
            if message.name is not None:
                self.dropped.append(f"{path}.name")
            if message.role in _SYSTEM:
                self.system += self._for_system(blocks, path)
                if self.messages:
                    self.dropped.append(f"{path}.role")  # it is heard, but before all that was said by then
                continue
            role = "assistant" if message.role is Role.ASSISTANT else "user"
            if blocks and role == before:
                _join(turn, blocks)
            elif blocks:
                self.messages.append(Turn(role, blocks))
                before, turn = role, blocks

    @property
    def has_tools(self) -> bool:
        """Whether a tool was called or answered, so that Converse insists on hearing of tools."""
        return self._answered or bool(self.names)

    def point(self, hint: CacheHint | None, path: str) -> list[Block]:
        """The mark behind a block, where there is to be one."""
        if hint is None:
            return []
        if not self._caches:
            self.dropped.append(f"{path}.cache_control")
            return []
        self.marked = True
        return [_POINTS[hint]]

    def _turn(self, message: Message, path: str) -> list[Block | Raw]:
        text = lone_text(message.parts)
        if text and not text.isspace():
            return [{"text": text}]
        written: list[Block | Raw] = []
        results: list[Block | Raw] = []
        for at, part in enumerate(message.parts):
            here = f"{path}.content[{at}]"
            blocks = self._part(part, here)
            first = not self._own and isinstance(part, ToolResult)
            (results if first else written).extend(blocks)
        return results + (written if self._own else without_blanks(written))

    def _for_system(self, blocks: list[Block | Raw], path: str) -> list[Block | Raw]:
        """A system prompt is text alone."""
        kept = [block for block in blocks if _kind(block) in _IN_SYSTEM]
        if len(kept) < len(blocks):
            self.dropped.append(f"{path}.content")
        return kept

    def _part(self, part: Part, path: str) -> Sequence[Block | Raw]:
        match part:
            case Text():
                return self._text(part, path)
            case Refusal():
                return [{"text": part.text}] if part.text else []
            case Image() | Audio() | Video() | File():
                return self._medium(part, path)
            case ToolCall():
                return self._call(part, path)
            case ToolResult():
                return self._result(part, path)
            case Reasoning():
                return self._reasoning(part, path)
            case Opaque() if part.family is Family.BEDROCK:
                return [part.raw]
            case Opaque():
                self.dropped.append(path)
                return []

    def _text(self, part: Text, path: str) -> list[Block | Raw]:
        own = [each.raw for each in part.citations if each.family is Family.BEDROCK and each.raw is not None]
        if len(own) < len(part.citations):
            self.dropped.append(f"{path}.citations")
        if part.signature is not None:
            self.dropped.append(f"{path}.signature")
        self.dropped += foreign(part.rest, path)
        if not part.text and not own and not self._own:
            return []  # Converse takes no empty text
        block: Block = {"text": part.text}
        if own:
            block = {"citationsContent": {"content": [{"text": part.text}], "citations": own}}
        return [block, *self.point(part.cache, path)]

    def _medium(self, part: Image | Audio | Video | File, path: str) -> list[Block | Raw]:
        if isinstance(part, Image) and part.detail not in (None, "auto"):
            self.dropped.append(f"{path}.detail")
        self.dropped += foreign(part.rest, path)
        if isinstance(part, Audio) and part.source.data is None and part.transcript:
            self.dropped.append(f"{path}.audio")  # what the model itself has said before
            return [{"text": part.transcript}]
        return [self._media.block(part, path), *self.point(part.cache, path)]

    def _call(self, part: ToolCall, path: str) -> list[Block | Raw]:
        self._beside(part, path)
        if part.name not in self.names:
            self.names.append(part.name)
        call = {
            "toolUseId": fitting(part.id, self._ids),
            "name": part.name,
            "input": written_arguments(part, path),
        }
        return [{"toolUse": call}, *self.point(part.cache, path)]

    def _result(self, part: ToolResult, path: str) -> list[Block | Raw]:
        self._beside(part, path)
        self._answered = True
        content: list[Block | Raw] = []
        for at, each in enumerate(part.content):
            content += self._part(each, f"{path}.content[{at}]")
        marks = [each for each in content if _kind(each) == "cachePoint"]
        result: Block = {
            "toolUseId": fitting(part.call_id, self._ids),
            "content": [each for each in content if _kind(each) != "cachePoint"],
        }
        if part.error:
            result["status"] = "error"
        return [{"toolResult": result}, *marks[:1], *([] if marks else self.point(part.cache, path))]

    def _beside(self, part: ToolCall | ToolResult, path: str) -> None:
        if isinstance(part, ToolCall) and part.signature is not None:
            self.dropped.append(f"{path}.signature")
        self.dropped += foreign(part.rest, path)

    def _reasoning(self, part: Reasoning, path: str) -> list[Block | Raw]:
        """Only what was signed for this very model goes back to it."""
        readers = _READERS.get(part.issuer, ()) if part.issuer is not None else ()
        if self._made_by not in readers or (part.signature is None and part.redacted is None):
            self.dropped.append(path)
            return []
        if part.redacted is not None:
            text = part.issuer is Family.ANTHROPIC
            data = base64.b64encode(part.redacted.encode()).decode() if text else part.redacted
            return [{"reasoningContent": {"redactedContent": data}}]
        thought = {"text": part.text, "signature": part.signature}
        return [{"reasoningContent": {"reasoningText": thought}}]


def _join(content: list[Block | Raw], blocks: list[Block | Raw]) -> None:
    """Add to a turn what its speaker goes on to say: results of tools before anything else."""
    results = [block for block in blocks if _kind(block) == "toolResult"]
    place = next((at for at, block in enumerate(content) if _kind(block) != "toolResult"), len(content))
    content[place:place] = results
    content += [block for block in blocks if _kind(block) != "toolResult"]


def _kind(block: Block | Raw) -> str:
    if isinstance(block, Raw):
        return bytes(block).partition(b'"')[2].partition(b'"')[0].decode()
    return next(iter(block))
