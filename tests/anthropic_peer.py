"""A fake provider that speaks Anthropic's Messages: scripted answers out, every request kept."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.harness import PRICE, GatewayProcess
from tests.scripted_peer import Asked, Talk

USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 4,
    "cache_read_input_tokens": 6,
    "output_tokens": 1,
    "service_tier": "standard",
}
SIGNATURE = "EqQBCgIYAhIM+/=signed"


def message(content: Sequence[Mapping[str, Any]], stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-there",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 7},
        **more,
    }


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def started() -> bytes:
    head = message([], stop="end_turn", usage=USAGE) | {"stop_reason": None}
    return event("message_start", message=head) + event("ping")


def block(index: int, start: Mapping[str, Any], *deltas: Mapping[str, Any]) -> bytes:
    """One block from its beginning to its end."""
    return (
        event("content_block_start", index=index, content_block=start)
        + b"".join(event("content_block_delta", index=index, delta=delta) for delta in deltas)
        + event("content_block_stop", index=index)
    )


def text(index: int, *pieces: str) -> bytes:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thought(index: int, *pieces: str, signature: str = SIGNATURE) -> bytes:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    deltas.append({"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def call(index: int, name: str, *pieces: str) -> bytes:
    start: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    return block(index, start, *[{"type": "input_json_delta", "partial_json": piece} for piece in pieces])


def ended(stop: str = "end_turn", tokens: int = 7) -> bytes:
    delta = {"stop_reason": stop, "stop_sequence": None}
    return event("message_delta", delta=delta, usage={"output_tokens": tokens}) + event("message_stop")


def whole(body: Mapping[str, Any], status: int = 200, **headers: str) -> bytes:
    """An answer with its head."""
    said = json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\n{more}\r\n"
    )
    return head.encode() + said


def streamed(*pieces: bytes) -> bytes:
    """A stream with its head, its end marked by the connection's."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"
    return head + b"".join(pieces)


def failure(kind: str, status: int, **headers: str) -> bytes:
    """A refusal."""
    body = {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_there"}
    return whole(body, status, **headers)


@dataclass
class Script:
    """Gives each request the next answer, and keeps it; each connection serves one."""

    answers: list[bytes]
    asked: list[Asked] = field(default_factory=list[Asked])

    async def __call__(self, talk: Talk) -> None:
        self.asked.append(await talk.ask())
        await talk.say(self.answers[min(len(self.asked), len(self.answers)) - 1])
        await asyncio.sleep(0)

    def body(self, turn: int = -1) -> dict[str, Any]:
        """What was asked."""
        return json.loads(self.asked[turn].body)

    def head(self, turn: int = -1) -> list[str]:
        """The header lines of it, in lower case."""
        return self.asked[turn].raw.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")


def model_at(gateway: GatewayProcess, port: int, wire: str = "anthropic", **model: Any) -> str:
    """A new chat model at a server a test itself runs."""
    return named_model(
        gateway, "claude", f"http://127.0.0.1:{port}" + ("" if wire == "anthropic" else "/v1"), wire, model
    )


def named_model(
    gateway: GatewayProcess, family: str, base_url: str, wire: str, model: Mapping[str, Any]
) -> str:
    """A chat model of a name that no other test has, at a provider of its own."""
    name = f"{family}-{os.urandom(3).hex()}"
    gateway.configure(
        providers={name: {"wire": wire, "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}},
        models={
            name: {
                "kind": "chat",
                "price": PRICE,
                "targets": [{"provider": name, "model": f"{family}-there"}],
                **model,
            }
        },
    )
    return name
