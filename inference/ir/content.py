"""Content: the parts that messages are made of, whoever's dialect they came in. Pure; refuses to know a provider.

A part knows what every dialect means by it. What only one family of dialects knows of a part is kept under `rest`
and given back unchanged where both sides are of that family; elsewhere it is named as dropped.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Raw, Struct

Rest = dict[str, Raw]
"""Fields only one family knows, raw as they came."""

NO_REST: Rest = {}


class Family(StrEnum):
    """Who shares a format. Two sides of one family understand each other's `rest`, signatures and opaque parts."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_COMPLETIONS = "openai-completions"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    BEDROCK = "bedrock"
    COHERE = "cohere"
    MISTRAL = "mistral"
    OTHER = "other"
    """A provider's own format without signatures or opaque parts: nothing of it is ever given back unchanged."""


class CacheHint(StrEnum):
    """A place in a prompt up to which the provider is asked to cache it, and for how long."""

    FIVE_MINUTES = "5m"
    ONE_HOUR = "1h"


class Citation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a piece of text comes from. `start` and `end` are places in the part's text, in characters.

    `raw` is the citation as its `family` wrote it.
    """

    url: str | None = None
    title: str | None = None
    cited: str | None = None
    start: int | None = None
    end: int | None = None
    family: Family | None = None
    raw: Raw | None = None


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes that are no text: by value (`data`, base64), by address (`url`) or as a `file_id` of the provider's.

    Exactly one of the three is given. `media_type` None: not said, an upstream finds out itself.
    """

    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None


class Text(Struct, frozen=True, kw_only=True, tag="text", omit_defaults=True):
    text: str
    cache: CacheHint | None = None
    citations: tuple[Citation, ...] = ()
    signature: str | None = None
    """Some providers sign text too, so that they know it again in the next turn."""
    issuer: Family | None = None
    rest: Rest = NO_REST


class Image(Struct, frozen=True, kw_only=True, tag="image", omit_defaults=True):
    """`detail` is OpenAI's word for how closely to look: low, high or auto."""

    source: Source
    detail: str | None = None
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class Audio(Struct, frozen=True, kw_only=True, tag="audio", omit_defaults=True):
    """`transcript` and `id` are there where a model spoke it itself."""

    source: Source
    transcript: str | None = None
    id: str | None = None
    expires_at: int | None = None
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class Video(Struct, frozen=True, kw_only=True, tag="video", omit_defaults=True):
    source: Source
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class File(Struct, frozen=True, kw_only=True, tag="file", omit_defaults=True):
    """A document. `text` holds one given as plain text instead of a source."""

    source: Source | None = None
    text: str | None = None
    name: str | None = None
    title: str | None = None
    context: str | None = None
    citations: bool | None = None
    """Whether the model is asked to cite it."""
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class Reasoning(Struct, frozen=True, kw_only=True, tag="reasoning", omit_defaults=True):
    """What a model thought. `signature` and `redacted` are opaque and only their `issuer` can read them.

    `redacted`: thought that is not shown at all. `summaries` are the parts of a summary of it, where the provider
    tells only that. `id` names it at the provider.
    """

    text: str = ""
    summaries: tuple[str, ...] = ()
    signature: str | None = None
    redacted: str | None = None
    issuer: Family | None = None
    id: str | None = None
    rest: Rest = NO_REST


class ToolCall(Struct, frozen=True, kw_only=True, tag="tool_call", omit_defaults=True):
    """`arguments` is JSON text exactly as the model wrote it, valid or not; for a `custom` tool any text.

    `signature` is opaque, only its `issuer` can read it. `item_id` is the id of the item beside that of the call,
    where a family has both.
    """

    id: str
    name: str
    arguments: str = ""
    custom: bool = False
    signature: str | None = None
    issuer: Family | None = None
    item_id: str | None = None
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class ToolResult(Struct, frozen=True, kw_only=True, tag="tool_result", omit_defaults=True):
    """What a tool answered; `name` where the dialect names the tool again."""

    call_id: str
    content: "tuple[Text | Image | Audio | Video | File | Opaque, ...]" = ()
    name: str | None = None
    error: bool = False
    custom: bool = False
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal", omit_defaults=True):
    text: str


class Opaque(Struct, frozen=True, kw_only=True, tag="opaque", omit_defaults=True):
    """A part that only its family has a word for: a search of the provider's own, code it ran, a file it made.

    `raw` is the whole part as it came; `kind` is the family's name for it.
    """

    family: Family
    kind: str
    raw: Raw


Part = Text | Image | Audio | Video | File | Reasoning | ToolCall | ToolResult | Refusal | Opaque


def lone_text(parts: Sequence[Part]) -> str | None:
    """The text of what is nothing but one, with nothing beside it, as most turns are; None for anything else."""
    if len(parts) != 1:
        return None
    part = parts[0]
    if not isinstance(part, Text) or part.cache is not None or part.rest:
        return None
    return part.text if part.signature is None and not part.citations else None
