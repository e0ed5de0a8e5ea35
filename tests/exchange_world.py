"""Fake providers of embeddings, rankings and moderations on one server, and models of the gateway that are had there.

Each answers in its own format, as its documentation and recorded calls have it; what it was sent is kept.
"""

import base64
import json
import os
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct

from tests.harness import GatewayProcess

VECTORS = [[0.5, -0.25, 0.125], [1.0, 0.0, -1.0]]
SCORES = [(1, 0.9), (0, 0.2)]
JUDGED = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.97}}


class Sent(Struct):
    """One request as a provider received it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def packed(vector: list[float]) -> str:
    """As OpenAI packs vectors."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def cohere_embed(asked: dict[str, Any]) -> object:
    count = len(asked.get("texts") or asked["inputs"])
    return {
        "id": "emb-1",
        "embeddings": {"float": VECTORS[:count]},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}},
    }


def cohere_rerank(asked: dict[str, Any]) -> object:
    results = [{"index": index, "relevance_score": score} for index, score in SCORES]
    return {
        "id": "rank-1",
        "results": results[: asked.get("top_n", 9)],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }


def openai_like(asked: dict[str, Any]) -> object:
    inputs: str | list[Any] = asked["input"]
    count = 1 if isinstance(inputs, str) else len(inputs)
    pack = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if pack else vector}
        for index, vector in enumerate(VECTORS[:count])
    ]
    return {"object": "list", "data": data, "model": asked["model"], "usage": {"total_tokens": 6}}


def voyage_rerank(asked: dict[str, Any]) -> object:
    data = [{"index": index, "relevance_score": score} for index, score in SCORES]
    return {"object": "list", "data": data[: asked.get("top_k", 9)], "usage": {"total_tokens": 43}}


def vllm_rerank(asked: dict[str, Any]) -> object:
    results = [
        {"index": index, "document": {"text": asked["documents"][index]}, "relevance_score": score}
        for index, score in SCORES
    ]
    return {"id": "rerank-1", "model": asked["model"], "usage": {"total_tokens": 11}, "results": results}


def moderation(asked: dict[str, Any]) -> object:
    given: str | list[Any] = asked["input"]
    several = isinstance(given, list) and isinstance(given[0], str)
    return {"id": "modr-1", "model": "omni-moderation", "results": [JUDGED] * (len(given) if several else 1)}


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "/cohere/v2/embed": cohere_embed,
    "/cohere/v2/rerank": cohere_rerank,
    "/voyage/v1/embeddings": openai_like,
    "/voyage/v1/rerank": voyage_rerank,
    "/openai/v1/embeddings": openai_like,
    "/openai/v1/moderations": moderation,
    "/v1/rerank": vllm_rerank,
}


class ExchangeWorld:
    """The fake providers, and the names of the gateway's models that are had there."""

    def __init__(self, gateway: GatewayProcess, port: int, sent: list[Sent], broken: dict[str, Any]) -> None:
        self.gateway = gateway
        self.sent = sent
        self.broken = broken
        tag = os.urandom(3).hex()
        root = f"http://127.0.0.1:{port}"
        key = {"env": "UPSTREAM_KEY"}
        wires: dict[str, dict[str, Any]] = {
            "cohere": {"wire": "cohere", "base_url": f"{root}/cohere", "key": key},
            "voyage": {"wire": "voyage", "base_url": f"{root}/voyage/v1", "key": key},
            "openai": {
                "wire": "openai",
                "base_url": f"{root}/openai/v1",
                "key": key,
                "media_hosts": ["example.com"],
            },
            "vllm": {"wire": "vllm", "workers": {"static": [root]}},
        }
        self.providers = {name: f"{name}-{tag}" for name in wires}
        self.cohere_embed = f"cohere-embed-{tag}"
        self.voyage_embed = f"voyage-embed-{tag}"
        self.openai_embed = f"openai-embed-{tag}"
        self.cohere_rerank = f"cohere-rerank-{tag}"
        self.voyage_rerank = f"voyage-rerank-{tag}"
        self.vllm_rerank = f"vllm-rerank-{tag}"
        self.moderation = f"moderation-{tag}"
        self.lost = f"openai-rerank-{tag}"
        models = {
            self.cohere_embed: ("embedding", "cohere", "embed-v4.0"),
            self.voyage_embed: ("embedding", "voyage", "voyage-4"),
            self.openai_embed: ("embedding", "openai", "text-embedding-3-small"),
            self.cohere_rerank: ("rerank", "cohere", "rerank-v4.0-pro"),
            self.voyage_rerank: ("rerank", "voyage", "rerank-2.5"),
            self.vllm_rerank: ("rerank", "vllm", "bge-reranker"),
            self.moderation: ("moderation", "openai", "omni-moderation-latest"),
            self.lost: ("rerank", "openai", "none"),
        }
        gateway.configure(
            providers={self.providers[name]: entry for name, entry in wires.items()},
            models={
                name: {
                    "kind": kind,
                    "price": {"per_search": 0.002} if name == self.cohere_rerank else {"input": 1.0},
                    "targets": [{"provider": self.providers[provider], "model": model}],
                }
                for name, (kind, provider, model) in models.items()
            },
        )

    def last(self) -> Sent:
        """The newest request that reached a provider."""
        return self.sent[-1]


@contextmanager
def exchange_world(gateway: GatewayProcess) -> Generator[ExchangeWorld]:
    """Fake providers while it is entered. `broken` maps a path to (status, body) to answer instead."""
    sent: list[Sent] = []
    broken: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            asked = json.loads(raw)
            sent.append(Sent(self.path, {k.lower(): v for k, v in self.headers.items()}, asked))
            status, answer = broken.get(self.path) or (200, ANSWERS[self.path](asked))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="exchanges")
    thread.start()
    try:
        yield ExchangeWorld(gateway, server.server_port, sent, broken)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
