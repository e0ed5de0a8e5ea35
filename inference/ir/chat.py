"""Chat: what is asked of a model that talks, in words no provider owns. Pure."""

from enum import StrEnum

from msgspec import Raw, Struct

from inference.ir.content import NO_REST, CacheHint, Family, Part, Rest


class Role(StrEnum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn. Results of tools stand in messages of the role `tool`, or beside a user's own parts.

    `id` names the turn where a family does. A system prompt is a message like any other, at its place.
    """

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    id: str | None = None
    rest: Rest = NO_REST


class ToolKind(StrEnum):
    """`hosted` tools are the provider's own; only their family knows what they do."""

    FUNCTION = "function"
    CUSTOM = "custom"
    HOSTED = "hosted"


class Tool(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`parameters` is a JSON schema. A hosted tool is `raw` as its `family` wrote it, `name` its type."""

    name: str
    kind: ToolKind = ToolKind.FUNCTION
    description: str | None = None
    parameters: Raw | None = None
    strict: bool | None = None
    family: Family | None = None
    raw: Raw | None = None
    cache: CacheHint | None = None
    rest: Rest = NO_REST


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`names` are the one tool that must be called (`named`), or the only ones that may be (other modes)."""

    mode: ToolMode = ToolMode.AUTO
    names: tuple[str, ...] = ()
    raw: Raw | None = None
    family: Family | None = None
    """Set where the choice is of a hosted tool: `raw` as the family wrote it."""


class FormatKind(StrEnum):
    TEXT = "text"
    JSON = "json"
    SCHEMA = "schema"


class Format(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the answer has to look like; `schema` is JSON schema.

    `rest` is how the client said it, where its family has several ways; that goes out instead where the target is
    of that family.
    """

    kind: FormatKind = FormatKind.TEXT
    schema: Raw | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    rest: Rest = NO_REST


class Structured(StrEnum):
    """By what an answer of a given form is asked for: a word of the format's own, a tool to be called with it, or
    words in the prompt."""

    NATIVE = "native"
    TOOL = "tool"
    PROMPT = "prompt"


def structured(form: Format | None, by: Structured = Structured.NATIVE) -> Structured | None:
    """`by` where a form is asked for; None where any text will do."""
    return None if form is None or form.kind is FormatKind.TEXT else by


class Thinking(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a model should think: an `effort` in words, a `budget` in tokens, or simply whether.

    `show`: whether thoughts shall be part of the answer; `summary` in which words (auto, concise, detailed).
    `adaptive`: the model itself decides how much. `rest` is all of it in the client's own fields, where its family
    has several ways to say it; they go out instead where the target is of that family.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    show: bool | None = None
    summary: str | None = None
    adaptive: bool = False
    rest: Rest = NO_REST


class ChatRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation to go on with. `model` is the name the client used; `family` is the client's.

    None and empty: not said, the target's own default holds. `rest` holds the top-level fields that only the
    client's family knows. `functions`: it speaks of its tools in OpenAI's older way, one call an answer.
    """

    model: str
    messages: tuple[Message, ...]
    family: Family
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    thinking: Thinking | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    answers: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    modalities: tuple[str, ...] = ()
    verbosity: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    cache_key: str | None = None
    functions: bool = False
    stream: bool = False
    rest: Rest = NO_REST
