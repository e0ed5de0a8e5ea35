"""Talks: the surfaces on which a recorded provider holds conversations, and how each of their calls is judged."""

import contextlib
import json
from collections.abc import Callable, Iterator

from msgspec import Struct

from gateway.dialects.anthropic_messages.parse import parse as parse_messages
from gateway.dialects.gemini import Gemini
from inference.ir.chat import ChatRequest, FormatKind
from inference.ir.completion import Completion
from inference.ir.content import (
    Audio,
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
)
from inference.ir.errors import AspendosError
from inference.ir.events import Event
from inference.ir.folding import fold
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ChatFormat
from tests.recorded import (
    test_anthropic_calls,
    test_bedrock_calls,
    test_cohere_calls,
    test_gemini_calls,
    test_invoke_calls,
    test_openai_chat_calls,
    test_responses_calls,
)
from tests.recorded.asking import told
from tests.recorded.calls import Recorded
from tests.recorded.translating import CLIENTS, survives, told_streamed, told_whole
from tests.recorded.verdicts import Finding, Unsupported, judged


class Talk(Struct, frozen=True, kw_only=True):
    """`agrees` compares an answer with what the provider's SDK reads, `returns` a request with what comes of it.

    `parse` reads a request; where no dialect of the gateway's is the provider's, as the tests of that provider do.
    """

    family: Family
    format: Callable[[Recorded], ChatFormat]
    agrees: Callable[[Recorded], object]
    returns: Callable[[Recorded], object]
    parse: Callable[[Recorded], ChatRequest]


def findings(call: Recorded, talk: Talk) -> Iterator[Finding]:
    """Everything that is to be said of one call that was answered."""
    if not call.body:
        reason = "recorded without its answer"
        yield from judged(("text",), lambda: _refuse(reason))
    else:
        yield from _answered(call, talk)
    if call.request is not None:
        yield from judged(("request", *_asked_for(call, talk)), lambda: talk.returns(call))
        for target in CLIENTS:
            if target is not talk.family:
                yield from judged(
                    (f"asked of {target}",), lambda target=target: told(talk.parse(call), target)
                )


def _asked_for(call: Recorded, talk: Talk) -> Iterator[str]:
    with contextlib.suppress(AspendosError):  # what cannot be read fails as a request
        yield from asked_for(talk.parse(call))


def _refuse(reason: str) -> None:
    raise Unsupported(reason)


def _answered(call: Recorded, talk: Talk) -> Iterator[Finding]:
    try:
        events, completion = read(call, talk)
    except (
        Exception
    ):  # what cannot be read at all is compared all the same: it may be an error, told with status 200
        yield from judged(("errors",), lambda: talk.agrees(call))
        return
    yield from judged(tuple(shown(completion, stream=call.stream)), lambda: talk.agrees(call))
    for client in CLIENTS:
        if client is not talk.family:
            yield from judged((f"to {client}",), lambda client=client: crossed(events, completion, client))


def read(call: Recorded, talk: Talk) -> tuple[list[Event] | None, Completion]:
    """An answer in neutral words; its events too, where it is a stream. Raises an AspendosError."""
    format = talk.format(call)
    if not streamed(call):
        return None, format.completion(call.body)
    parser = format.stream()
    events = list(parser.feed(call.body))
    if not parser.complete:
        events += parser.finish()
    return events, fold(events)


def streamed(call: Recorded) -> bool:
    """SSE, or AWS's own framing, which the recordings do not call a stream."""
    return call.stream or "-stream" in call.url


def crossed(events: list[Event] | None, completion: Completion, client: Family) -> None:
    """Told to a client of another dialect."""
    back = told_whole(completion, client) if events is None else told_streamed(events, client)
    survives(completion, back, client)


def shown(completion: Completion, *, stream: bool) -> Iterator[str]:
    """The features of which an answer is an example."""
    parts = [part for choice in completion.choices for part in choice.parts]

    def some(*kinds: type[Part]) -> list[Part]:
        return [part for part in parts if isinstance(part, kinds)]

    calls = some(ToolCall)
    if some(Text):
        yield "streamed text" if stream else "text"
    if calls:
        yield "streamed tools" if stream else "tools"
    if len(calls) > 1:
        yield "parallel tools"
    if some(Reasoning):
        yield "reasoning"
    if any(isinstance(part, Reasoning | Text | ToolCall) and part.signature for part in parts) or any(
        isinstance(part, Reasoning) and part.redacted for part in parts
    ):
        yield "signatures"
    if any(isinstance(part, Text) and part.citations for part in parts):
        yield "citations"
    for feature, kind in (
        ("refusals", Refusal),
        ("hosted tools", Opaque),
        ("images out", Image),
        ("audio out", Audio),
    ):
        if some(kind):
            yield feature
    if len(completion.choices) > 1:
        yield "several answers"
    if any(choice.finish for choice in completion.choices):
        yield "finish"
    usage = completion.usage
    if usage.input_tokens or usage.output_tokens:
        yield "usage"
    if usage.cache_read_tokens or usage.cache_write_tokens:
        yield "cached usage"


def asked_for(asked: ChatRequest) -> Iterator[str]:
    """The features of which a request is an example."""
    parts: list[object] = [part for message in asked.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.content]
    if asked.tools:
        yield "tools offered"
    if any(isinstance(part, ToolResult) for part in parts):
        yield "tool results"
    if any(isinstance(part, Image) for part in parts):
        yield "images in"
    if any(isinstance(part, Audio | Video | File) for part in parts):
        yield "audio and files in"
    if asked.format is not None and asked.format.kind is not FormatKind.TEXT:
        yield "structured output"


# the surfaces


def _given(format: ChatFormat | None) -> ChatFormat:
    assert format is not None
    return format


def _openai_agrees(call: Recorded) -> None:
    if call.provider == "mistral":
        return test_openai_chat_calls.mistral_agrees(call)
    format = _openai_format(call)
    check = test_openai_chat_calls.stream_agrees if call.stream else test_openai_chat_calls.whole_agrees
    check(call, format)
    return None


def _openai_format(call: Recorded) -> ChatFormat:
    known = call.provider in test_openai_chat_calls.FORMATS
    return test_openai_chat_calls.format_of(call.provider if known else "openai")


def _openai_returns(call: Recorded) -> None:
    if call.provider != "mistral":
        test_openai_chat_calls.request_returns(call)
    elif not test_openai_chat_calls.told_mistral(call):
        raise Unsupported("parts that only Mistral's own clients send")


def _anthropic_agrees(call: Recorded) -> None:
    (test_anthropic_calls.stream_agrees if call.stream else test_anthropic_calls.whole_agrees)(call)


def _responses_agrees(call: Recorded) -> None:
    test_responses_calls.answer_agrees(call)
    test_responses_calls.written_again(call)


def _gemini_agrees(call: Recorded) -> None:
    if call.stream:
        test_gemini_calls.stream_agrees(call.body)
    else:
        test_gemini_calls.whole_agrees(call)
        test_gemini_calls.written_again(call)


def _gemini_parse(call: Recorded) -> ChatRequest:
    dialect = Gemini("m", stream=False).chat
    assert dialect is not None
    return dialect.parse(call.asked)


def _cohere_agrees(call: Recorded) -> None:
    if call.stream:
        test_cohere_calls.stream_agrees(call)
    else:
        said = test_cohere_calls.Said.whole(call.body)
        test_cohere_calls.compare(test_cohere_calls.CHAT.completion(call.body), said)


def _bedrock_returns(call: Recorded) -> None:
    found = test_bedrock_calls.asked_for(call)
    if found is None:
        raise Unsupported("a request that was recorded as no JSON")
    test_bedrock_calls.request_returns(call, *found)


def _bedrock_parse(call: Recorded) -> ChatRequest:
    found = test_bedrock_calls.asked_for(call)
    return found[1] if found else ChatRequest(model="m", messages=(), family=Family.BEDROCK)


OPENAI_CHAT = Talk(
    family=Family.OPENAI_CHAT,
    format=_openai_format,
    agrees=_openai_agrees,
    returns=_openai_returns,
    parse=lambda call: test_openai_chat_calls.DIALECT.parse(call.asked),
)
MESSAGES = Talk(
    family=Family.ANTHROPIC,
    format=lambda _: _given(ANTHROPIC.chat),
    agrees=_anthropic_agrees,
    returns=test_anthropic_calls.request_returns,
    parse=lambda call: parse_messages(call.asked),
)
ANSWERS = Talk(
    family=Family.OPENAI_RESPONSES,
    format=lambda _: _given(RESPONSES.chat),
    agrees=_responses_agrees,
    returns=test_responses_calls.request_returns,
    parse=test_responses_calls.read,
)
CONTENTS = Talk(
    family=Family.GEMINI,
    format=lambda _: _given(GEMINI.chat),
    agrees=_gemini_agrees,
    returns=test_gemini_calls.request_returns,
    parse=_gemini_parse,
)
COHERES = Talk(
    family=Family.COHERE,
    format=lambda _: _given(COHERE.chat),
    agrees=_cohere_agrees,
    returns=test_cohere_calls.request_returns,
    parse=lambda call: test_cohere_calls.neutral(json.loads(call.asked)),
)
CONVERSE = Talk(
    family=Family.BEDROCK,
    format=lambda call: BedrockChat().of(test_bedrock_calls.model_of(call)),
    agrees=test_bedrock_calls.answer_agrees,
    returns=_bedrock_returns,
    parse=_bedrock_parse,
)
INVOKED = Talk(
    family=Family.ANTHROPIC,
    format=lambda call: BedrockChat().of(test_bedrock_calls.model_of(call)),
    agrees=test_invoke_calls.answer_agrees,
    returns=test_invoke_calls.request_returns,
    parse=lambda call: parse_messages(test_invoke_calls.sent_by_client(call)),
)
