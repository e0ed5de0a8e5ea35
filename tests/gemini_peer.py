"""What a provider that speaks Gemini's format says, for scripted peers; see `tests.anthropic_peer.Script`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.anthropic_peer import Script, named_model, streamed, whole
from tests.harness import GatewayProcess

__all__ = ["SIGNATURE", "USAGE", "Script", "answer", "event", "failure", "model_at", "streamed", "whole"]

USAGE: dict[str, Any] = {
    "promptTokenCount": 12,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 20,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
}
SIGNATURE = "EqQBCgIYAhIMK/8="


def answer(parts: Sequence[Mapping[str, Any]], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A whole answer, or one event of a stream where it does not `finish`."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE if finish is not None else {"promptTokenCount": 12, "totalTokenCount": 12},
        "modelVersion": "gemini-there",
        "responseId": "resp-1",
    }


def event(parts: Sequence[Mapping[str, Any]], finish: str | None = None, **more: Any) -> bytes:
    """One event, ended as Google ends it."""
    return f"data: {json.dumps(answer(parts, finish, **more))}\r\n\r\n".encode()


def failure(status: int, word: str, words: str, *details: Mapping[str, Any]) -> bytes:
    """A refusal."""
    return whole(
        {"error": {"code": status, "message": words, "status": word, "details": list(details)}}, status
    )


def model_at(gateway: GatewayProcess, port: int, wire: str = "gemini", **model: Any) -> str:
    """A new chat model at a server a test itself runs."""
    path = {"gemini": "/v1beta", "vertex": "/v1/projects/p/locations/l"}.get(wire, "/v1")
    return named_model(gateway, "gemini", f"http://127.0.0.1:{port}{path}", wire, model)
