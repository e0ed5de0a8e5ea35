"""Questions: the request bodies this server understands, checked field by field. Unknown fields are ignored.

Shapes: https://platform.openai.com/docs/api-reference. What the engine cannot do is refused by name rather
than dropped: an answer that ignored `response_format` would look like one that obeyed it.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from inference.ir.errors import BadRequest, InvalidField, InvalidJSON
from inference.local.chat_model import Sampling
from inference.local.library import LocalCard

MAX_CHOICES = 16
MAX_INPUTS = 2048

Positive = Annotated[int, Meta(ge=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Probability = Annotated[float, Meta(gt=0, le=1)]
Choices = Annotated[int, Meta(ge=1, le=MAX_CHOICES)]
Stop = Annotated[list[str], Meta(max_length=16)]
TokenId = Annotated[int, Meta(ge=0)]


class StreamOptions(Struct, frozen=True):
    """`continuous_usage_stats` is vLLM's: usage so far in every chunk."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class Part(Struct, frozen=True):
    type: str
    text: str = ""


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None


class _ResponseFormat(Struct, frozen=True):
    type: str


class _Generation(Struct, frozen=True, kw_only=True):
    """What both ways of generating share. `None` is what SDKs send for a field that is not set."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices | None = None
    max_tokens: Positive | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0)] | None = None
    seed: int | None = None
    stop: str | Stop | None = None
    ignore_eos: bool | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None


class ChatQuestion(_Generation, frozen=True, kw_only=True):
    """The body of /v1/chat/completions."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: _ResponseFormat | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    modalities: list[str] | None = None


class TextQuestion(_Generation, frozen=True, kw_only=True):
    """The body of /v1/completions."""

    prompt: str | list[Any]
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    best_of: int | None = None


class EmbeddingQuestion(Struct, frozen=True, kw_only=True):
    """The body of /v1/embeddings."""

    model: str
    input: str | list[Any]
    encoding_format: str | None = None
    dimensions: Positive | None = None


T = TypeVar("T")

_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_AT_PATH = re.compile(r" - at `\$\.?(.*)`$")


def decode(body: bytes, shape: type[T]) -> T:
    """The body in this shape. Raises InvalidJSON with the position, or InvalidField with the field as `param`."""
    if not body.strip():
        raise InvalidJSON("the request body is empty; a JSON object is expected")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"the request body is not valid UTF-8 at byte {error.start}") from error
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _AT_PATH.search(text)
        param = (
            at[1] if at else (missing[1] if (missing := re.search(r"required field `(\w+)`", text)) else None)
        )
        raise InvalidField(_AT_PATH.sub(f" in '{param}'", text), param=param or None) from error
    except msgspec.DecodeError as error:
        at = _AT_BYTE.search(str(error))
        where = f" at byte {at[1]}" if at else ""
        raise InvalidJSON(f"the request body is not valid JSON{where}: {error}") from error


def check_supported(question: ChatQuestion | TextQuestion) -> None:
    """Raises BadRequest naming the first field that asks for what the embedded worker cannot do."""
    if question.stream_options is not None and not question.stream:
        raise BadRequest("stream_options needs stream: true", param="stream_options")
    asked = {
        "presence_penalty": bool(question.presence_penalty),
        "frequency_penalty": bool(question.frequency_penalty),
        "logit_bias": bool(question.logit_bias),
    }
    if isinstance(question, ChatQuestion):
        asked |= {
            "tools": bool(question.tools),
            "functions": bool(question.functions),
            "response_format": question.response_format is not None
            and question.response_format.type != "text",
            "top_logprobs": bool(question.top_logprobs),
            "modalities": any(modality != "text" for modality in question.modalities or ()),
        }
    else:
        asked |= {
            "suffix": bool(question.suffix),
            "logprobs": question.logprobs is not None,
            "best_of": question.best_of is not None and question.best_of > (question.n or 1),
        }
    for field, wanted in asked.items():
        if wanted:
            message = f"{field} is not supported by the embedded worker; send the request to another model"
            raise BadRequest(message, param=field, code="unsupported_parameter")


def sampling_for(question: ChatQuestion | TextQuestion, card: LocalCard, prompt_tokens: int) -> Sampling:
    """How to sample for this question. Raises BadRequest when prompt and answer do not fit into the context."""
    room = card.context - prompt_tokens
    asked = question.max_tokens
    if isinstance(question, ChatQuestion):
        asked = question.max_completion_tokens or asked
    elif asked is None:
        asked = min(16, max(room, 1))  # OpenAI's default for this route
    if room < 1 or (asked or 0) > room:
        wanted = f" and {asked} tokens of answer were asked for" if asked else ""
        message = (
            f"{card.name} has a context of {card.context} tokens; the prompt has {prompt_tokens}{wanted}"
        )
        raise BadRequest(
            message, param="messages" if room < 1 else "max_tokens", code="context_length_exceeded"
        )
    stop = [question.stop] if isinstance(question.stop, str) else question.stop or []
    return Sampling(
        max_tokens=asked or room,
        temperature=card.temperature if question.temperature is None else question.temperature,
        top_p=question.top_p or 1.0,
        top_k=max(question.top_k or 0, 0),
        repetition_penalty=question.repetition_penalty or 1.0,
        seed=question.seed,
        stop=tuple(text for text in stop if text),
        ignore_end=bool(question.ignore_eos),
    )


ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def plain_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as a chat template wants them: text only, `developer` under its older name.

    Raises InvalidField for an unknown role or a part that is not text.
    """
    plain: list[dict[str, Any]] = []
    for at, message in enumerate(messages):
        if message.role not in ROLES:
            raise InvalidField(
                f"role {message.role!r} is none of {', '.join(ROLES)}", param=f"messages[{at}].role"
            )
        content = message.content or ""
        if not isinstance(content, str):
            for number, part in enumerate(content):
                if part.type not in ("text", "refusal"):
                    where = f"messages[{at}].content[{number}]"
                    raise InvalidField(
                        f"a part of type {part.type!r} is not supported; only text is", param=where
                    )
            content = "".join(part.text for part in content)
        role = "system" if message.role == "developer" else message.role
        plain.append({"role": role, "content": content})
    return plain


def token_lists(value: str | list[Any], *, param: str, vocabulary: int) -> list[str | list[int]]:
    """OpenAI's four shapes (text, texts, tokens, lists of tokens) as one list of texts or token lists.

    Raises InvalidField for an empty list, another shape, or a token that does not exist.
    """
    if isinstance(value, str):
        return [value]
    if not value:
        raise InvalidField(f"{param} is an empty list", param=param)
    items: list[Any] = [value] if all(type(item) is int for item in value) else value
    if len(items) > MAX_INPUTS:
        raise InvalidField(f"{param} has {len(items)} entries; at most {MAX_INPUTS} are taken", param=param)
    lists: list[str | list[int]] = []
    for at, item in enumerate(items):
        if isinstance(item, str):
            lists.append(item)
            continue
        try:
            ids = msgspec.convert(item, list[TokenId])
        except msgspec.ValidationError as error:
            raise InvalidField(f"{param}[{at}] is neither text nor a list of tokens", param=param) from error
        if not ids or max(ids) >= vocabulary:
            problem = (
                f"has a token beyond the vocabulary of {vocabulary}" if ids else "is an empty list of tokens"
            )
            raise InvalidField(f"{param}[{at}] {problem}", param=param)
        lists.append(ids)
    return lists


def check_fits(inputs: Sequence[Sequence[int]], card: LocalCard) -> None:
    """Raises BadRequest for the first input, by its tokens, that is longer than the model's context."""
    for at, ids in enumerate(inputs):
        if len(ids) > card.context:
            raise BadRequest(
                f"{card.name} has a context of {card.context} tokens; input[{at}] has {len(ids)}",
                param="input",
                code="context_length_exceeded",
            )
