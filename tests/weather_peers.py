"""Weather peers: fake providers of three wire formats that hold one streamed conversation, told to call a tool first.

Asked for the weather they call `get_weather` for Paris, given its answer they say what it is, then they say goodbye.
"""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tests import anthropic_peer, gemini_peer
from tests.anthropic_peer import Script, streamed
from tests.harness import GatewayProcess

QUESTION = "What is the weather in Paris? é🎈"
RESULT = "sunny, 21 degrees"
ANSWER = "It is sunny 🎈 in Paris."
THANKS = "Thank you."
GOODBYE = "You are welcome."
ARGUMENTS = {"city": "Paris"}
_PIECES = ('{"ci', 'ty": "Pa', 'ris"}')


class WeatherPeer(Struct, frozen=True, kw_only=True):
    """`turns` are its three answers; `results` finds in a request what the tool was said to have answered."""

    wire: str
    turns: Callable[[], list[bytes]]
    results: Callable[[dict[str, Any]], list[str]]
    model_at: Callable[[GatewayProcess, int], str]

    def script(self) -> Script:
        """For a scripted peer."""
        return Script(self.turns())


# Anthropic's


def _anthropic() -> list[bytes]:
    started, text = anthropic_peer.started, anthropic_peer.text
    called = anthropic_peer.call(1, "get_weather", *_PIECES)
    return [
        streamed(started(), text(0, "Let me ", "look."), called, _anthropic_end("tool_use")),
        streamed(started(), text(0, "It is sunny ", "🎈 in Paris."), _anthropic_end("end_turn")),
        streamed(started(), text(0, "You are ", "welcome."), _anthropic_end("end_turn")),
    ]


def _anthropic_end(reason: str) -> bytes:
    """With the whole usage, as Anthropic itself tells it: some clients look nowhere else."""
    usage = {**anthropic_peer.USAGE, "output_tokens": 7}
    delta = {"stop_reason": reason, "stop_sequence": None}
    event = anthropic_peer.event
    return event("message_delta", delta=delta, usage=usage) + event("message_stop")


def _anthropic_results(body: dict[str, Any]) -> list[str]:
    blocks = [
        block
        for turn in body["messages"]
        if isinstance(turn["content"], list)
        for block in turn["content"]
        if block["type"] == "tool_result"
    ]
    return [_flat(block["content"]) for block in blocks]


# Gemini's


def _gemini() -> list[bytes]:
    event = gemini_peer.event
    call = {"functionCall": {"name": "get_weather", "args": ARGUMENTS}}
    signed = {**call, "thoughtSignature": gemini_peer.SIGNATURE}
    return [
        streamed(event([{"text": "Let me "}]), event([{"text": "look."}]), event([signed], "STOP")),
        streamed(event([{"text": "It is sunny "}]), event([{"text": "🎈 in Paris."}], "STOP")),
        streamed(event([{"text": "You are "}]), event([{"text": "welcome."}], "STOP")),
    ]


def _gemini_results(body: dict[str, Any]) -> list[str]:
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    return [str(answer.get("output", answer)) for answer in answers]


# OpenAI's


def _openai() -> list[bytes]:
    call: dict[str, Any] = {"index": 0, "id": "call_w1", "type": "function"}
    return [
        streamed(
            *_said("Let me ", "look."),
            _chunk({"tool_calls": [{**call, "function": {"name": "get_weather", "arguments": ""}}]}),
            *(_chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in _PIECES),
            *_end("tool_calls"),
        ),
        streamed(*_said("It is sunny ", "🎈 in Paris."), *_end("stop")),
        streamed(*_said("You are ", "welcome."), *_end("stop")),
    ]


def parallel_calls(*cities: str) -> bytes:
    """One call for each city, told in turns, as some servers do."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "get_weather"}}
        for n in range(len(cities))
    ]
    arguments = [json.dumps({"city": city}) for city in cities]
    starts = range(0, max(map(len, arguments)), 4)
    grown = [[{"function": {"arguments": each[start : start + 4]}} for each in arguments] for start in starts]
    turns: list[list[dict[str, Any]]] = [calls, *grown]
    pieces = [_chunk({"tool_calls": [{"index": n, **call}]}) for turn in turns for n, call in enumerate(turn)]
    return streamed(*_said("Let me ", "look."), *pieces, *_end("tool_calls"))


def _said(*pieces: str) -> list[bytes]:
    return [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": each}) for each in pieces)]


def _end(reason: str) -> list[bytes]:
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
    return [_chunk({}, reason), _event({"choices": [], "usage": usage}), b"data: [DONE]\n\n"]


def _chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _event(fields: dict[str, Any]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "there"}
    return b"data: " + json.dumps({**head, **fields}).encode() + b"\n\n"


def _openai_results(body: dict[str, Any]) -> list[str]:
    return [_flat(turn["content"]) for turn in body["messages"] if turn["role"] == "tool"]


def _flat(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


PEERS = (
    WeatherPeer(
        wire="anthropic",
        turns=_anthropic,
        results=_anthropic_results,
        model_at=anthropic_peer.model_at,
    ),
    WeatherPeer(
        wire="gemini",
        turns=_gemini,
        results=_gemini_results,
        model_at=gemini_peer.model_at,
    ),
    WeatherPeer(
        wire="openai",
        turns=_openai,
        results=_openai_results,
        model_at=lambda gateway, port: gateway.model_at(port),
    ),
)
