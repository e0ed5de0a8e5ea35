"""Upstreams that die, stall, refuse or speak nonsense: what the client is told, who is tried next, what is billed."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest

from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey, free_port
from tests.scripted_peer import Peer, Script, Talk, answering

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
HASTY = {"connect": "300ms", "first_byte": "300ms", "idle": "300ms", "total": "900ms"}
PATIENT = dict.fromkeys(HASTY, "20s")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(body: object, status: str = "200 OK") -> bytes:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


def completion(text: str = "hello") -> bytes:
    return whole(
        {
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
    )


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=15) as opened:
        yield opened


async def ask(
    client: httpx.AsyncClient, gateway: GatewayProcess, key: VirtualKey, model: str, *, stream: bool = False
) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return await client.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)


def in_band(answer: httpx.Response) -> dict[str, Any]:
    """The error event of a stream that began well; it must be followed by a clean end."""
    assert answer.status_code == 200
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    errors = [parsed["error"] for line in lines if "error" in (parsed := json.loads(line))]
    assert len(errors) == 1
    assert set(errors[0]) == {"message", "type", "param", "code"}
    return errors[0]


# in mid-stream


def dying(how: str) -> Script:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(STREAM_HEAD + chunk(EVENT) + chunk(EVENT) + chunk(EVENT))
        await asyncio.sleep(0.05)
        if how == "reset":
            talk.reset()
        elif how == "stall":
            await talk.gone()
        elif how == "half an event":
            await talk.say(chunk(EVENT[:20]))
        elif how == "no JSON":
            await talk.say(chunk(b"data: {x\n\n") + chunk(EVENT))
            await talk.gone()
        elif how == "bad framing":
            await talk.say(b"zzz\r\nnot a chunk at all")
        elif how == "ends early":
            await talk.say(chunk(b""))

    return script


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("cut", "upstream_garbled"),
        ("reset", "upstream_garbled"),
        ("half an event", "upstream_garbled"),
        ("no JSON", "upstream_garbled"),
        ("bad framing", "upstream_garbled"),
        ("ends early", "upstream_garbled"),
        ("stall", "upstream_timeout_idle"),
    ],
)
async def test_a_stream_whose_upstream_dies_ends_with_an_error_event(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, how: str, code: str
) -> None:
    async with Peer(dying(how)) as peer:
        model = gateway.model_at(peer.port, timeouts={**PATIENT, "idle": "300ms"})
        answer = await ask(client, gateway, key, model, stream=True)
        error = in_band(answer)
        assert error["code"] == code
        assert answer.text.count('"word"') == 3
        assert answer.text.startswith((EVENT * 3).decode())
        record = gateway.record(key)
    assert (record.status, record.error) == (504 if "timeout" in code else 502, code)
    assert record.usage_source == "counted"
    assert f"\n\n: x-aspendos-cost: {record.cost_usd} " in answer.text, "what it cost is said"
    assert 2 <= record.output_tokens <= 4
    assert record.cost_nano == 0, "an answer that broke costs nothing"
    assert record.provider_cost_nano
    assert gateway.metric("aspendos_upstream_errors_total", provider=model, code=code) == 1


async def test_an_error_event_of_the_upstream_is_passed_on_and_recorded(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    answer = await ask(client, gateway, key, "error-after-3", stream=True)
    assert '"message":"the engine died"' in answer.text
    record = gateway.record(key)
    assert (record.status, record.error) == (502, "upstream_stream_error")
    assert record.output_tokens > 0


@pytest.mark.parametrize("ending", [b"data: [DONE]\n\n", b""])
@pytest.mark.parametrize("apart", [False, True])
async def test_a_key_repeated_in_an_error_event_is_taken_out(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, ending: bytes, apart: bool
) -> None:
    broken = b'data: {"error":{"message":"Bad key %b given."}}\n\n' % UPSTREAM_KEY.encode()
    pieces = [EVENT, broken + ending] if apart else [EVENT + broken + ending]

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(STREAM_HEAD)
        for piece in pieces:
            await talk.say(chunk(piece))
            await asyncio.sleep(0.05)
        await talk.say(chunk(b""))

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port, key={"env": "UPSTREAM_KEY"}, timeouts=PATIENT)
        answer = await ask(client, gateway, key, model, stream=True)
    assert '"message":"Bad key *** given."' in answer.text
    assert UPSTREAM_KEY not in answer.text
    assert answer.text.startswith(EVENT.decode())


@pytest.mark.parametrize(
    "how", ["refused", "failed", "told with 200", "in a stream", "in a translated stream"]
)
async def test_a_traceback_of_the_upstream_stays_with_the_gateway(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, how: str
) -> None:
    trace = 'Out of luck.\n\nTraceback (most recent call last):\n  File "/srv/engine.py", line 3, in run\nValueError: x'
    told = {"error": {"message": trace}}
    statuses = {"refused": "400 Bad Request", "failed": "500 Oh"}

    async def script(talk: Talk) -> None:
        await talk.ask()
        if "stream" in how:
            events = EVENT + b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(told).encode()
            await talk.say(STREAM_HEAD + chunk(events) + chunk(b""))
        else:
            await talk.say(whole(told, statuses.get(how, "200 OK")))

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port)
        asked = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
        path = "/messages" if "translated" in how else "/chat/completions"
        asked["stream"] = "stream" in how
        answer = await client.post(gateway.base_url + path, json=asked, headers=key.bearer)
    assert answer.status_code == {"refused": 400, "failed": 502, "told with 200": 502}.get(how, 200)
    assert "Out of luck." in answer.text
    assert "Traceback" not in answer.text
    assert "engine.py" not in answer.text


# time-outs


@contextlib.contextmanager
def full_port() -> Generator[int]:
    """A port whose queue of connections is full, so that the kernel answers no further one."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = server.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield port


@pytest.mark.parametrize("stream", [False, True])
async def test_the_time_to_connect_has_a_limit(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, stream: bool
) -> None:
    with full_port() as port:
        model = gateway.model_at(port, timeouts={**PATIENT, "connect": "300ms"})
        answer = await ask(client, gateway, key, model, stream=stream)
    _is_timeout(answer, gateway, key, "connect")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_time_to_the_first_byte_has_a_limit(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, stream: bool
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.gone()

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port, timeouts={**PATIENT, "first_byte": "300ms"})
        answer = await ask(client, gateway, key, model, stream=stream)
    _is_timeout(answer, gateway, key, "first_byte")


async def test_silence_within_a_response_has_a_limit(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(completion()[:-5])
        await talk.gone()

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port, timeouts={**PATIENT, "idle": "300ms"})
        answer = await ask(client, gateway, key, model)
    _is_timeout(answer, gateway, key, "idle")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_whole_has_a_limit_however_lively_the_upstream_is(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, stream: bool
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(STREAM_HEAD if stream else completion()[:-40])
        while True:
            await talk.say(chunk(EVENT) if stream else b" ")
            await asyncio.sleep(0.05)

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port, timeouts={**PATIENT, "total": "600ms"})
        answer = await ask(client, gateway, key, model, stream=stream)
    if not stream:
        _is_timeout(answer, gateway, key, "total")
        return
    error = in_band(answer)
    assert error["code"] == "upstream_timeout_total"
    assert "(total time-out)" in error["message"]
    record = gateway.record(key)
    assert (record.status, record.error) == (504, "upstream_timeout_total")
    assert record.output_tokens > 3


def _is_timeout(answer: httpx.Response, gateway: GatewayProcess, key: VirtualKey, phase: str) -> None:
    assert answer.status_code == 504, answer.text
    error = answer.json()["error"]
    assert error["type"] == "timeout_error"
    assert error["code"] == f"upstream_timeout_{phase}"
    assert f"({phase} time-out)" in error["message"]
    record = gateway.record(key)
    assert (record.status, record.error, record.cost_nano) == (504, error["code"], 0)


# several targets


def pair(first: int, second: int, *, weights: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Providers and one model over two addresses; its name is `pair-<first>-<second>`."""
    name = f"pair-{first}-{second}"
    ports = {f"{name}-a": first, f"{name}-b": second}
    return {
        "providers": {
            provider: {"wire": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "timeouts": HASTY}
            for provider, port in ports.items()
        },
        "models": {
            name: {
                "kind": "chat",
                "price": PRICE,
                "targets": [
                    {"provider": provider, "model": "scripted", "weight": weight}
                    for provider, weight in zip(ports, weights, strict=True)
                ],
            }
        },
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_target_that_refuses_connections_is_passed_over(
    gateway: GatewayProcess,
    key: VirtualKey,
    client: httpx.AsyncClient,
    upstream: UpstreamThread,
    stream: bool,
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        last = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        await talk.say(STREAM_HEAD + chunk(last) + chunk(b"") if stream else completion())

    async with Peer(script) as peer:
        dead = free_port()
        gateway.configure(**pair(dead, peer.port, weights=(1_000_000, 1)))
        name = f"pair-{dead}-{peer.port}"
        answer = await ask(client, gateway, key, name, stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-aspendos-attempts"] == "2"
    assert answer.headers["x-aspendos-provider"] == f"{name}-b"
    record = gateway.record(key)
    assert (record.status, record.attempts, record.provider) == (200, 2, f"{name}-b")
    code = "upstream_unreachable"
    assert gateway.metric("aspendos_upstream_errors_total", provider=f"{name}-a", code=code) == 1


async def test_a_target_that_takes_no_connections_in_time_is_passed_over(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    with full_port() as full:
        async with Peer(answering(completion())) as peer:
            gateway.configure(**pair(full, peer.port, weights=(1_000_000, 1)))
            answer = await ask(client, gateway, key, f"pair-{full}-{peer.port}")
    assert answer.status_code == 200
    assert answer.headers["x-aspendos-attempts"] == "2"


async def test_where_no_target_can_be_reached_the_client_is_told(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    first, second = free_port(), free_port()
    gateway.configure(**pair(first, second, weights=(1, 1)))
    answer = await ask(client, gateway, key, f"pair-{first}-{second}")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_unreachable"
    assert "refused the connection" in answer.json()["error"]["message"]
    assert gateway.record(key).attempts == 2


async def test_a_target_that_answered_is_not_asked_again_elsewhere(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    broken = whole({"error": {"message": "boom"}}, "500 Internal Server Error")
    async with Peer(answering(broken)) as first, Peer(answering(completion())) as second:
        gateway.configure(**pair(first.port, second.port, weights=(1_000_000, 1)))
        answer = await ask(client, gateway, key, f"pair-{first.port}-{second.port}")
        assert second.accepted == 0
    assert answer.status_code == 502
    assert gateway.record(key).attempts == 1


async def test_targets_share_the_traffic_by_weight(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient
) -> None:
    async with Peer(answering(completion())) as first, Peer(answering(completion())) as second:
        gateway.configure(**pair(first.port, second.port, weights=(3, 1)))
        name = f"pair-{first.port}-{second.port}"
        answers = [await ask(client, gateway, key, name) for _ in range(120)]
        share = Counter(answer.headers["x-aspendos-provider"] for answer in answers)
    # Binomial(120, 3/4) leaves 65..114 less than once in a million runs.
    assert 65 <= share[f"{name}-a"] <= 114


async def test_a_fleets_requests_go_to_the_worker_with_the_fewest_in_flight(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    go_on = asyncio.Event()
    asked = Counter[int]()

    def worker(number: int) -> Script:
        async def script(talk: Talk) -> None:
            while True:
                await talk.ask()
                asked[number] += 1
                await go_on.wait()
                await talk.say(completion())

        return script

    async with Peer(worker(1)) as one, Peer(worker(2)) as two, httpx.AsyncClient(timeout=15) as client:
        model = gateway.model_at(one.port, two.port, wire="vllm")
        async with asyncio.TaskGroup() as group:
            for count in range(1, 7):
                group.create_task(ask(client, gateway, key, model))
                while asked.total() < count:
                    await asyncio.sleep(0.005)
                assert abs(asked[1] - asked[2]) <= 1
            go_on.set()
    assert asked == {1: 3, 2: 3}


# answers that are none


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (whole(b""), "upstream_garbled"),
        (whole(b"<html>welcome</html>"), "upstream_garbled"),
        (whole(b'["a list"]'), "upstream_garbled"),
        (whole(b'{"choices": [{"mess'), "upstream_garbled"),
        (whole(b"{}"), "upstream_garbled"),
        (whole({"id": "x", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}), "upstream_garbled"),
        (completion()[:-9], "upstream_garbled"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "upstream_garbled"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\n", "upstream_garbled"),
        (b"", "upstream_hung_up"),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n",
            "upstream_garbled",
        ),
        (whole(b"", "204 No Content"), "upstream_garbled"),
    ],
    ids=[
        "empty",
        "html",
        "list",
        "cut-json",
        "{}",
        "no-choices",
        "cut",
        "ssh",
        "bad-length",
        "nothing",
        "redirect",
        "204",
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_200_that_is_no_answer_is_the_upstreams_fault(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, wire: bytes, code: str, stream: bool
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(wire)

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port)
        answer = await ask(client, gateway, key, model, stream=stream)
    assert answer.status_code == 502, answer.text
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]
    record = gateway.record(key)
    assert (record.status, record.error, record.cost_nano) == (502, code, 0)
    assert gateway.metric("aspendos_upstream_errors_total", provider=model, code=code) == 1


HALF = "AA\ud83c QQ"
MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "text", "text": HALF},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": HALF}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_half_of_a_character_costs_no_answer(
    gateway: GatewayProcess, key: VirtualKey, client: httpx.AsyncClient, wire: str
) -> None:
    """Passed on as it came; translated with a sign in its place, within a call's arguments, too."""
    answer = completion(HALF) if wire == "openai" else whole(MESSAGE)
    async with Peer(answering(answer)) as peer:
        told = await ask(client, gateway, key, gateway.model_at(peer.port, wire=wire))
    assert told.status_code == 200, told.text
    if wire == "openai":
        assert told.content == answer.partition(b"\r\n\r\n")[2]
    else:
        message = told.json()["choices"][0]["message"]
        assert message["content"] == HALF.replace("\ud83c", "\ufffd")
        arguments = json.loads(message["tool_calls"][0]["function"]["arguments"])
        assert arguments == {"a": message["content"]}
    record = gateway.record(key)
    assert record.status == 200
    assert record.cost_nano > 0
