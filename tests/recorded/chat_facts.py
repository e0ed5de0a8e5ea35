"""What a chat answer says, as the official SDKs read it and as the gateway does: to be held against each other."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpx
import openai
from msgspec import Struct
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from inference.ir.completion import Completion, Finish
from inference.ir.content import Audio, Image, Reasoning, Refusal, Text, ToolCall

WORDS = {
    "eos": "stop",
    "function_call": "tool_calls",
}
"""Finish reasons that mean another: Together's, and OpenAI's older one."""


class Call(Struct, frozen=True):
    id: str
    name: str
    arguments: str


class Said(Struct, frozen=True, kw_only=True):
    """One choice. `calls` of the older kind have no id."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    citations: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()
    images: int = 0


class Counts(Struct, frozen=True, kw_only=True):
    input: int
    output: int
    cached: int
    thought: int
    audio: int = 0


class Facts(Struct, frozen=True):
    choices: dict[int, Said]
    usage: Counts | None


def replaying(answer: bytes, *, stream: bool) -> httpx.Client:
    """Answers whatever an SDK asks with these bytes."""
    kind = "text/event-stream" if stream else "application/json"
    return httpx.Client(
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, headers={"content-type": kind}, content=answer)
        )
    )


def client(answer: bytes, *, stream: bool) -> openai.OpenAI:
    """The official SDK, whose requests are all answered with these bytes."""
    return openai.OpenAI(
        api_key="k",
        base_url="http://sdk/v1",
        http_client=replaying(answer, stream=stream),  # pyright: ignore[reportArgumentType]  # either httpx will do
        max_retries=0,
    )


def sdk_whole(answer: bytes) -> ChatCompletion:
    """The recorded bytes as the SDK reads them."""
    with client(answer, stream=False) as sdk:
        return sdk.chat.completions.create(model="m", messages=[])


def sdk_stream(answer: bytes) -> list[ChatCompletionChunk]:
    """The chunks the SDK yields. Raises its APIError for one that reports an error."""
    with client(answer, stream=True) as sdk:
        return list(sdk.chat.completions.create(model="m", messages=[], stream=True))


def gathered(chunks: Iterable[ChatCompletionChunk]) -> ChatCompletion:
    """The chunks put together by the SDK's own means."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(chunk)
    return state.current_completion_snapshot


def facts(completion: Any) -> Facts:
    """Of a completion of the SDK's, whole or gathered."""
    return Facts(
        {choice.index: _said(choice) for choice in completion.choices or ()},
        counts(completion.usage) if getattr(completion, "usage", None) else None,
    )


def extra(model: Any) -> dict[str, Any]:
    """Fields the SDK has no name for."""
    return cast(dict[str, Any], model.model_extra or {})


def _said(choice: Any) -> Said:
    message = choice.message
    if message is None:
        return Said(finish=choice.finish_reason)
    beside = extra(message)
    details: list[dict[str, Any]] = beside.get("reasoning_details") or []
    calls = [_call(call) for call in message.tool_calls or ()]
    if message.function_call is not None:
        calls.append(Call("", message.function_call.name, message.function_call.arguments))
    return Said(
        text=_text(message.content),
        refusal=message.refusal or "",
        reasoning=beside.get("reasoning_content") or beside.get("reasoning") or "",
        calls=tuple(calls),
        finish=_word(choice.finish_reason, called=bool(calls)),
        citations=tuple(_citations(message)),
        sealed=tuple(sealed for each in details if (sealed := each.get("signature") or each.get("data"))),
        images=len(beside.get("images") or ()),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = cast(list[dict[str, Any]], content)
        return "".join(part.get("text", "") for part in parts if part["type"] == "text")
    return content or ""


def _call(call: Any) -> Call:
    inner = call.function if call.type != "custom" else call.custom
    return Call(call.id or "", inner.name, inner.arguments if call.type != "custom" else inner.input)


def _citations(message: Any) -> Iterator[str]:
    for each in message.annotations or ():
        yield each["url_citation"]["url"] if isinstance(each, dict) else each.url_citation.url


def counts(usage: Any) -> Counts:
    """Usage, each token once: some leave the thinking out of the output, and the total tells."""
    beside = extra(usage)
    before, after = usage.prompt_tokens_details, usage.completion_tokens_details
    thought = (after.reasoning_tokens or 0) if after else 0
    output = usage.completion_tokens or 0
    given = usage.prompt_tokens or 0
    if thought and usage.total_tokens == given + output + thought:
        output += thought
    cached = (before.cached_tokens or 0) if before else 0
    return Counts(
        input=given,
        output=output,
        cached=cached or beside.get("cached_tokens") or beside.get("num_cached_tokens") or 0,
        thought=thought,
        audio=((before.audio_tokens or 0) if before else 0),
    )


def ours(completion: Completion) -> Facts:
    """Of an answer in neutral words."""
    usage = completion.usage
    counted = Counts(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cached=usage.cache_read_tokens,
        thought=usage.reasoning_tokens,
        audio=usage.audio_input_tokens,
    )
    return Facts(
        {
            choice.index: Said(
                text="".join(part.text for part in choice.parts if isinstance(part, Text)),
                refusal="".join(part.text for part in choice.parts if isinstance(part, Refusal)),
                reasoning="\n\n".join(
                    part.text or "\n\n".join(part.summaries)
                    for part in choice.parts
                    if isinstance(part, Reasoning) and (part.text or part.summaries)
                ),
                calls=tuple(
                    Call(part.id, part.name, part.arguments)
                    for part in choice.parts
                    if isinstance(part, ToolCall)
                ),
                finish=None if choice.finish is None else _ours(choice.finish),
                citations=tuple(
                    each.url or ""
                    for part in choice.parts
                    if isinstance(part, Text)
                    for each in part.citations
                ),
                sealed=tuple(
                    sealed
                    for part in choice.parts
                    if isinstance(part, Reasoning) and (sealed := part.signature or part.redacted)
                ),
                images=sum(isinstance(part, Image | Audio) for part in choice.parts),
            )
            for choice in completion.choices
        },
        counted if usage.input_tokens or usage.output_tokens else None,
    )


def _ours(finish: Finish) -> str:
    return "length" if finish is Finish.CONTEXT else str(finish)


def _word(word: str | None, *, called: bool) -> str | None:
    """A forced call ends with `stop`; the gateway says what the client has to do next."""
    if word is None:
        return None
    said = WORDS.get(word, word)
    return "tool_calls" if called and said == "stop" else said
