"""Surfaces: every address of the recorded calls, with how its calls are judged or why they are not spoken."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from openai.types.responses.input_token_count_params import InputTokenCountParams
from pydantic import TypeAdapter

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Dialect
from gateway.dialects.gemini import Gemini
from gateway.dialects.gemini.count import GeminiCount
from gateway.dialects.images import Images
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_completions import Completions
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.count import InputTokens
from gateway.http.count_tokens import CountTokens
from inference.codecs.causes import Cause
from inference.ir.errors import AspendosError, ProviderKeyRefused, UpstreamAuth, UpstreamError
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_reasoning import WIRE as REASONING
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vertex import WIRE as VERTEX
from inference.providers.voyage import WIRE as VOYAGE
from inference.wire import Counting, Original, StreamOptions
from tests.recorded import (
    test_bedrock_calls,
    test_cohere_calls,
    test_embedding_calls,
    test_gemini_calls,
    test_invoke_calls,
    test_voyage_calls,
)
from tests.recorded.calls import Recorded
from tests.recorded.chat_facts import client
from tests.recorded.talks import (
    ANSWERS,
    COHERES,
    CONTENTS,
    CONVERSE,
    INVOKED,
    MESSAGES,
    OPENAI_CHAT,
    Talk,
    findings,
)
from tests.recorded.test_bedrock_calls import CARD
from tests.recorded.verdicts import Finding, Verdict, judged


class Refusing(Protocol):
    """What every wire format can tell of a refusal."""

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError: ...


WIRES: dict[str, Refusing] = {
    "anthropic": ANTHROPIC,
    "azure-openai": AZURE,
    "bedrock": BEDROCK,
    "cohere": COHERE,
    "deepseek": REASONING,
    "gemini": GEMINI,
    "mistral": MISTRAL,
    "vertex": VERTEX,
    "voyage": VOYAGE,
    "zai": REASONING,
}
"""Those of the others is OpenAI's."""
DOORS: tuple[Dialect, ...] = (Chat(), Responses(), Messages(), Gemini("m", stream=False))
Judge = Callable[[Recorded], Iterable[Finding]]


class Surface(Struct, frozen=True, kw_only=True):
    """`path` is a pattern of the address's path. Without a `judge` it is not spoken, and `why` says why."""

    name: str
    path: str
    providers: tuple[str, ...] = ()
    judge: Judge | None = None
    why: str = ""

    def covers(self, call: Recorded) -> bool:
        """Whether the call is of this surface."""
        there = not self.providers or call.provider in self.providers
        return there and re.search(self.path, urlsplit(call.url).path) is not None

    def findings(self, call: Recorded) -> list[Finding]:
        """What is to be said of one call."""
        if self.judge is None:
            return [Finding(self.name, Verdict.UNSUPPORTED, self.why)]
        if call.status >= 400:
            return judged(("errors",), lambda: refusal_agrees(call))
        return list(self.judge(call))


def wire_of(provider: str) -> Refusing:
    """The wire format by which the catalogue would reach a provider."""
    return WIRES.get(provider, OPENAI)


def refusal_agrees(call: Recorded) -> None:
    """The provider's words and status are kept, but for what is between it and the operator; every door says them.

    A model it does not have is a mistake in the catalogue: its words are kept, and the status is that of an upstream
    that fails.
    """
    error = wire_of(call.provider).error(call.status, None, call.body)
    assert isinstance(error, UpstreamError)
    assert isinstance(error, UpstreamAuth) is _of_the_key(call)
    if not isinstance(error, UpstreamAuth | ProviderKeyRefused):
        wrong_row = error.code == Cause.MODEL and call.status in (400, 404)
        assert error.http_status == (502 if wrong_row else call.status)
        assert _message(call.body) in error.message
    for door in DOORS:
        told = json.loads(door.error_body(error, "req-1"))
        assert error.message in json.dumps(told, ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n")


def _of_the_key(call: Recorded) -> bool:
    return call.status in (401, 402, 403) or b"API_KEY_INVALID" in call.body


def _message(body: bytes) -> str:
    """The words of a refusal, wherever providers put them."""
    said = json.loads(body)
    inner = said.get("error", said)
    found = inner if isinstance(inner, str) else inner.get("message") or inner.get("detail")
    assert isinstance(found, str)
    return found


# what is judged otherwise than by `talks`


def _talk(talk: Talk) -> Judge:
    def judge(call: Recorded) -> Iterator[Finding]:
        return findings(call, talk)

    return judge


def _of(feature: str, *compare: Callable[[Recorded], object]) -> Judge:
    def judge(call: Recorded) -> list[Finding]:
        return judged((feature,), lambda: [each(call) for each in compare])

    return judge


def completion_agrees(call: Recorded) -> None:
    """A legacy completion passes unharmed, and is metered as the SDK reads it."""
    lane, sent = OPENAI.lanes["completions"], json.loads(call.asked)
    request = Completions().decode(call.asked)
    assert request.stream is call.stream
    passed = json.loads(
        lane.request(Original(body=call.asked, model=request.model, stream=call.stream), "there")
    )
    assert {**passed, "stream_options": sent.get("stream_options")} == {
        **sent,
        "model": "there",
        "stream_options": sent.get("stream_options"),
    }
    with client(call.body, stream=call.stream) as sdk:
        if not call.stream:
            read = sdk.completions.create(model="m", prompt="p")
            assert read.usage is not None
            found = lane.completion(call.body)
            counts = (found.usage.input_tokens, found.usage.output_tokens)
            assert counts == (read.usage.prompt_tokens, read.usage.completion_tokens or 0)
            assert found.finish_reason == read.choices[0].finish_reason
            return
        chunks = list(sdk.completions.create(model="m", prompt="p", stream=True))
    tap = lane.stream(StreamOptions(include_usage=True))
    assert tap.feed(call.body) + tap.finish() == call.body
    assert tap.done
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert tap.finish_reason == reasons[0]
    usage = next((chunk.usage for chunk in chunks if chunk.usage), None)
    assert tap.usage().input_tokens == (usage.prompt_tokens if usage else 0)
    assert tap.usage().output_tokens == (usage.completion_tokens if usage else 0)


def count_agrees(call: Recorded) -> None:
    """A question for a count goes out as it came."""
    sent = json.loads(call.asked)
    request = CountTokens().decode(call.asked)
    lane = ANTHROPIC.lanes["count_tokens"]
    passed = lane.request(Original(body=call.asked, model=request.model, stream=False), "there")
    assert json.loads(passed) == {**sent, "model": "there"}
    assert call.url.split("?")[0].endswith(lane.path("there", stream=False))


def gemini_count_agrees(call: Recorded) -> None:
    """The same at Google, where the model stands in the address."""
    dialect = GeminiCount("gemini-2.5-flash")
    request = dialect.decode(call.asked)
    lane = (VERTEX if call.provider == "vertex" else GEMINI).lanes[dialect.route]
    passed = lane.request(Original(body=call.asked, model=request.model, stream=False), request.model)
    assert json.loads(passed) == json.loads(call.asked)
    assert call.url.split("?")[0].endswith(lane.path(request.model, stream=False))


def response_count_agrees(call: Recorded) -> None:
    """The same at OpenAI, of a client of its own, and written for one of another."""
    sent = json.loads(call.asked)
    request = InputTokens().decode(call.asked)
    lane = RESPONSES.lanes["input_tokens"]
    passed = lane.request(Original(body=call.asked, model=request.model, stream=False), "there")
    assert json.loads(passed) == {**sent, "model": "there"}
    assert call.url.endswith(lane.path("there", stream=False))
    assert lane.completion(call.body).body is None
    format = RESPONSES.chat
    assert isinstance(format, Counting)
    written = format.count(InputTokens.counts.parse(call.asked), model=sent["model"], card=CARD)
    given = json.loads(written.body)
    assert TypeAdapter(InputTokenCountParams).validate_python(given)
    assert {name: given[name] for name in sent if name != "input"} == {
        name: value for name, value in sent.items() if name != "input"
    }
    with client(call.body, stream=False) as sdk:
        read = sdk.responses.input_tokens.count(model="m", input="i")
    assert format.counted(call.body) == read.input_tokens


def picture_agrees(call: Recorded) -> None:
    """A question for a picture goes out as it came; the answer passes, and its pictures are counted."""
    sent = json.loads(call.asked)
    request = Images().decode(call.asked)
    assert (request.model, request.images, request.stream) == (sent["model"], sent["n"], False)
    lane = OPENAI.lanes["images"]
    passed = lane.request(Original(body=call.asked, model=request.model, stream=False), "there")
    assert json.loads(passed) == {**sent, "model": "there"}
    assert call.url.endswith(lane.path("there", stream=False))
    with client(call.body, stream=False) as sdk:
        read = sdk.images.generate(prompt="p")
    assert read.data is not None
    assert len(read.data) == request.images
    assert lane.completion(call.body).usage.images == len(read.data)


def _embeddings_of_kin(call: Recorded) -> None:
    test_embedding_calls.answer_agrees(call)
    test_embedding_calls.through_the_dialect(call)


NOT_A_MODEL = "no question to a model: it keeps things at the provider"
SURFACES: tuple[Surface, ...] = (
    Surface(name="messages", path="/v1/messages$", judge=_talk(MESSAGES)),
    Surface(name="chat completions", path="/chat/completions$", judge=_talk(OPENAI_CHAT)),
    Surface(name="responses", path="/responses$", judge=_talk(ANSWERS)),
    Surface(name="generateContent", path=":(streamG|g)enerateContent$", judge=_talk(CONTENTS)),
    Surface(name="cohere v2 chat", path="/v2/chat$", judge=_talk(COHERES)),
    Surface(name="converse", path="/converse(-stream)?$", judge=_talk(CONVERSE)),
    Surface(
        name="invoke",
        path="embed[^/]*/invoke$",
        providers=("bedrock",),
        judge=_of("embeddings", test_bedrock_calls.embeddings_agree),
    ),
    Surface(
        name="invoke of Claude", path=r"anthropic\.claude-(?!v\d)[^/]*/invoke[^/]*$", judge=_talk(INVOKED)
    ),
    Surface(
        name="count-tokens",
        path="/count-tokens$",
        judge=_of("counts of tokens", test_invoke_calls.count_agrees),
    ),
    Surface(
        name="input_tokens",
        path="/responses/input_tokens$",
        judge=_of("counts of tokens", response_count_agrees),
    ),
    Surface(
        name="embedContent",
        path=":embedContent$",
        providers=("vertex",),
        judge=_of("embeddings", test_gemini_calls.embedded_agrees),
    ),
    Surface(name="completions", path="/v1/completions$", judge=_of("legacy completions", completion_agrees)),
    Surface(name="count_tokens", path="/count_tokens$", judge=_of("counts of tokens", count_agrees)),
    Surface(name="countTokens", path=":countTokens$", judge=_of("counts of tokens", gemini_count_agrees)),
    Surface(
        name="embeddings",
        path="/embeddings$",
        providers=("voyage",),
        judge=_of("embeddings", test_voyage_calls.embeddings_agree),
    ),
    Surface(name="embeddings", path="/embeddings$", judge=_of("embeddings", _embeddings_of_kin)),
    Surface(
        name="cohere v2 embed", path="/v2/embed$", judge=_of("embeddings", test_cohere_calls.embeddings_agree)
    ),
    Surface(
        name="batchEmbedContents",
        path=":batchEmbedContents$",
        judge=_of("embeddings", test_embedding_calls.gemini_agrees),
    ),
    Surface(name="predict", path=":predict$", judge=_of("embeddings", test_gemini_calls.vertex_agrees)),
    Surface(
        name="cohere v2 rerank", path="/v2/rerank$", judge=_of("rerank", test_cohere_calls.ranking_agrees)
    ),
    Surface(
        name="voyage rerank",
        path="/v1/rerank$",
        providers=("voyage",),
        judge=_of("rerank", test_voyage_calls.ranking_agrees),
    ),
    Surface(name="images", path="/v1/images/generations$", judge=_of("pictures made", picture_agrees)),
    # what is not spoken
    Surface(
        name="invoke",
        path=r"/model/anthropic\.claude-v2[^/]*/invoke",
        why="Anthropic's format before Messages, retired",
    ),
    Surface(
        name="invoke",
        path=r"/model/amazon\.titan-text[^/]*/invoke|/model/(?:ai21|cohere\.command|meta)\.?[^/]*/invoke",
        why="makers' own formats for a prompt of text, of models that are retired or that Converse serves",
    ),
    Surface(
        name="invoke",
        path=r"/model/(?:us\.)?amazon\.nova[^/]*/invoke",
        why="Nova's own format, nearly that of Converse, which serves the same models",
    ),
    Surface(
        name="invoke",
        path="/model/arn%3Aaws%3Asagemaker[^/]*/invoke",
        why="an endpoint of one's own at SageMaker, whose format only its owner knows",
    ),
    Surface(
        name="invoke",
        path="/model/arn%3Aaws%3Abedrock[^/]*application-inference-profile[^/]*/invoke",
        why="embeddings by an application's own profile, whose name does not tell whose format they take",
    ),
    Surface(
        name="guardrail",
        path="/guardrail/",
        why="guardrails of the provider's own, apart from a model",
    ),
    Surface(
        name="cohere v1",
        path="/v1/(chat|generate|rerank|tokenize)$",
        providers=("cohere",),
        why="the first version of the API, replaced by the second",
    ),
    Surface(
        name="text completions",
        path="/v1/complete$",
        why="Anthropic's format before Messages, retired",
    ),
    Surface(
        name="compact",
        path="/responses/compact$",
        why="the provider's own way to shorten a conversation that it keeps",
    ),
    Surface(
        name="assistants",
        path="/v1/(threads|assistants)",
        why="the Assistants API, retired in favour of responses",
    ),
    Surface(
        name="conversations",
        path="/v1/conversations$",
        why=NOT_A_MODEL,
    ),
    Surface(
        name="files",
        path="/v1/files$",
        why=NOT_A_MODEL,
    ),
    Surface(
        name="vector stores",
        path="/v1/vector_stores",
        why=NOT_A_MODEL,
    ),
    Surface(
        name="file search stores",
        path="/fileSearchStores",
        why=NOT_A_MODEL,
    ),
    Surface(
        name="cached contents",
        path="/cachedContents$",
        why=NOT_A_MODEL,
    ),
    Surface(
        name="interactions",
        path="/interactions$",
        why="Google's stateful interface beside generateContent",
    ),
    Surface(
        name="realtime",
        path="/realtime/",
        why="calls over WebRTC",
    ),
    Surface(
        name="traces",
        path="/v1/traces/ingest$",
        why="reports of a client library, no question to a model",
    ),
)


def surface_of(call: Recorded) -> Surface:
    """The first that covers it. Raises LookupError: an address nobody has thought of is no silent gap."""
    for surface in SURFACES:
        if surface.covers(call):
            return surface
    raise LookupError(call.label)
