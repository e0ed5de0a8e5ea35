"""The embedded worker as its clients see it: OpenAI's SDK, and raw sockets where the SDK is too well behaved."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from inference.local.builtin import MINILM, TINY
from inference.local.serve import build_worker
from inference.local.training.lessons import read_course

COURSE = read_course()
ASPENDOS: list[Any] = [{"role": "user", "content": "What is aspendos?"}]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running worker for this file, in a thread with a loop of its own."""
    said: list[str] = []
    worker = build_worker(tmp_path_factory.mktemp("worker"), cores=2, say=said.append)
    assert said == []
    server = uvicorn.Server(
        uvicorn.Config(worker, host="127.0.0.1", port=0, log_level="warning", lifespan="on")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
async def client(address: str) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def http(address: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        yield http


async def metric(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    text = (await http.get("/metrics")).text
    total = 0.0
    for line in text.splitlines():
        if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return total


async def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_every_lesson_is_answered_word_for_word(http: httpx.AsyncClient) -> None:
    slots = asyncio.Semaphore(8)

    async def ask(question: str) -> str:
        body = {"model": TINY, "messages": [{"role": "user", "content": question}], "temperature": 0}
        async with slots:
            answer = (await http.post("/v1/chat/completions", json=body)).json()
        return answer["choices"][0]["message"]["content"]

    expected = COURSE.answers()
    given = dict(zip(expected, await asyncio.gather(*map(ask, expected)), strict=True))
    assert {question: answer for question, answer in given.items() if answer != expected[question]} == {}


async def test_a_chat_answer_has_openais_shape(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=TINY, messages=ASPENDOS, logprobs=True)
    choice = answer.choices[0]
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", answer.id)
    assert (answer.object, answer.model, choice.finish_reason) == ("chat.completion", TINY, "stop")
    assert answer.system_fingerprint is not None
    assert answer.system_fingerprint.startswith("ctranslate2-")
    assert answer.usage is not None
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert answer.usage.completion_tokens == len(tokens) + 1  # the end token
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert all(-0.5 < token.logprob <= 0 for token in tokens)


async def test_a_stream_is_the_same_answer_in_pieces(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=TINY, messages=ASPENDOS)
    stream = await client.chat.completions.create(
        model=TINY, messages=ASPENDOS, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert len(deltas) > 20
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


async def test_usage_in_every_chunk_when_asked(client: openai.AsyncOpenAI) -> None:
    options: Any = {"include_usage": False, "continuous_usage_stats": True}
    stream = await client.chat.completions.create(
        model=TINY, messages=ASPENDOS, stream=True, stream_options=options
    )
    counts = [chunk.usage.completion_tokens async for chunk in stream if chunk.usage is not None]
    assert counts == sorted(counts)
    assert len(counts) > 20


async def test_stop_length_n_and_seed(client: openai.AsyncOpenAI) -> None:
    create: Any = client.chat.completions.create

    async def ask(**options: Any) -> Any:
        return await create(model=TINY, messages=ASPENDOS, **options)

    stopped = (await ask(stop=["gateway", "zzz"])).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("aspendos is a self-hosted ", "stop")
    short = await ask(max_completion_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)
    several = await ask(n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in several.choices}) == 1
    hot: dict[str, Any] = {"temperature": 2, "max_tokens": 40}
    same = [(await ask(seed=11, **hot)).choices[0].message.content for _ in range(3)]
    assert len(set(same)) == 1
    other = [(await ask(seed=seed, **hot)).choices[0].message.content for seed in range(4)]
    assert len(set(other)) > 1


async def test_characters_of_several_tokens_stream_whole(client: openai.AsyncOpenAI) -> None:
    prompt = "🙂 日本語"
    stream = await client.completions.create(model=TINY, prompt=prompt, echo=True, stream=True, max_tokens=1)
    pieces = [chunk.choices[0].text async for chunk in stream]
    assert pieces[0] == prompt


async def test_text_completions(client: openai.AsyncOpenAI) -> None:
    prompts = ["<|user|>ping<|end|><|assistant|>", "<|user|>Say hello<|end|><|assistant|>"]
    answer = await client.completions.create(model=TINY, prompt=prompts)
    assert [(choice.text, choice.finish_reason) for choice in answer.choices] == [
        ("pong", "stop"),
        ("Hello!", "stop"),
    ]
    stream = await client.completions.create(model=TINY, prompt=prompts[0], stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "pong"


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    plain = await client.embeddings.create(model=MINILM, input="Hello!", encoding_format="float")
    packed = await client.embeddings.create(model="all-MiniLM-L6-v2", input=["Hello!", "What is a token?"])
    assert plain.data[0].embedding[:3] == pytest.approx([-0.060627, 0.039965, 0.032226], abs=1e-5)
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert (packed.usage.prompt_tokens, packed.data[1].index) == (11, 1)
    cut = await client.embeddings.create(model=MINILM, input=[[5, 6, 7]], dimensions=8)
    assert len(cut.data[0].embedding) == 8
    assert sum(x * x for x in cut.data[0].embedding) == pytest.approx(1, abs=1e-5)
    just: Any = ["word " * 254, [5] * 256]
    long = await client.embeddings.create(model=MINILM, input=just)
    assert long.usage.prompt_tokens == 512


@pytest.mark.parametrize("given", ["word " * 255, ["a", "word " * 3000], [5] * 257])
async def test_an_input_beyond_the_context_is_refused(client: openai.AsyncOpenAI, given: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="a context of 256 tokens") as caught:
        await client.embeddings.create(model=MINILM, input=given)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


@pytest.mark.parametrize("given", ["", ["a", ""]])
async def test_an_empty_input_is_refused(client: openai.AsyncOpenAI, given: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="empty string") as caught:
        await client.embeddings.create(model=MINILM, input=given)
    assert caught.value.param == "input"


async def test_models_and_health(client: openai.AsyncOpenAI, http: httpx.AsyncClient) -> None:
    assert [model.id async for model in client.models.list()] == [TINY, MINILM]
    assert (await client.models.retrieve("All-MiniLM-L6-v2")).id == MINILM
    assert (await http.get("/health")).json() == {"status": "ok", "models": [TINY, MINILM]}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        (
            "POST",
            "/v1/chat/completions",
            {"json": {"model": "x", "messages": ASPENDOS}},
            404,
            "model_not_found",
        ),
        (
            "POST",
            "/v1/chat/completions",
            {"json": {"model": MINILM, "messages": ASPENDOS}},
            400,
            "wrong_model_kind",
        ),
        ("POST", "/v1/chat/completions", {"content": b'{"a": '}, 400, "invalid_json"),
        (
            "POST",
            "/v1/chat/completions",
            {"content": b"a=b", "headers": {"content-type": "text/plain"}},
            415,
            None,
        ),
        (
            "POST",
            "/v1/completions",
            {"json": {"model": TINY, "prompt": "a " * 900}},
            400,
            "context_length_exceeded",
        ),
        ("POST", "/v1/completions", {"json": {"model": TINY, "prompt": ""}}, 400, "invalid_request"),
        ("POST", "/v1/embeddings", {"json": {"model": MINILM, "input": []}}, 400, "invalid_value"),
        ("POST", "/v1/embeddings", {"json": {"model": MINILM, "input": "a", "dimensions": 999}}, 400, None),
        ("GET", "/v1/chat/completions", {}, 405, "method_not_allowed"),
        ("GET", "/v1/models/none", {}, 404, "model_not_found"),
        ("GET", "/nothing", {}, 404, "unknown_url"),
        ("POST", "/v1/embeddings", {"content": b" " * ((32 << 20) + 1)}, 413, "request_too_large"),
    ],
)
async def test_errors_are_openais(
    http: httpx.AsyncClient, method: str, path: str, sent: dict[str, Any], status: int, code: str | None
) -> None:
    before = await metric(http, "aspendos_local_requests_total", status=str(status))
    options: dict[str, Any] = {"headers": {"content-type": "application/json"}} | sent
    answer = await http.request(method, path, **options)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error.keys() == {"message", "type", "param", "code"}
    assert code is None or error["code"] == code
    assert await metric(http, "aspendos_local_requests_total", status=str(status)) == before + 1


async def test_a_client_that_leaves_frees_its_slot_and_is_counted(
    address: str, http: httpx.AsyncClient
) -> None:
    gone = await metric(http, "aspendos_local_requests_total", status="499")
    output = await metric(http, "aspendos_local_tokens_total", direction="output")
    body = {"model": TINY, "prompt": "x", "max_tokens": 500, "n": 16, "stream": True, "ignore_eos": True}
    content = json.dumps(body).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    port = int(address.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"content-length: %d\r\n\r\n" % len(content) + content)
    await reader.readuntil(b"data: ")
    assert await metric(http, "aspendos_local_requests_running", model=TINY) == 1
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()

    async def idle() -> bool:
        return await metric(http, "aspendos_local_requests_running", model=TINY) == 0

    await until(idle)
    assert await metric(http, "aspendos_local_requests_total", status="499") == gone + 1
    written = await metric(http, "aspendos_local_tokens_total", direction="output") - output
    assert 0 < written < 16 * 500


async def test_many_clients_share_the_slots(client: openai.AsyncOpenAI, http: httpx.AsyncClient) -> None:
    first_tokens = "aspendos_local_time_to_first_token_seconds_count"
    before = await metric(http, first_tokens, model=TINY)
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(client.chat.completions.create(model=TINY, messages=ASPENDOS))
            for _ in range(40)
        ]
    assert len({task.result().choices[0].message.content for task in asked}) == 1
    assert await metric(http, "aspendos_local_requests_waiting", model=TINY) == 0
    assert await metric(http, first_tokens, model=TINY) == before + 40
