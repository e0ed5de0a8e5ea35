"""A model server for tests that speaks OpenAI's Chat Completions and Responses by hand, and remembers what it heard.

It repeats what users said; asked for the weather with a tool at hand, it calls the tool, then tells what the tool
answered; asked for JSON, it gives JSON.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 29,
}
ANSWER = '{"city":"Paris","degrees":21}'
ARGUMENTS = '{"city": "Paris"}'


class ResponsesUpstream:
    """Serves on loopback while it is entered. `asked` are the paths and bodies of all requests."""

    def __enter__(self) -> Self:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(_Handler):
            asked = outer.asked

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def body(self, path: str = "") -> dict[str, Any]:
        """The newest request's body, of those whose path ends so."""
        return next(body for asked, body in reversed(self.asked) if asked.endswith(path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, dict[str, Any]]]

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, body))
        chat = self.path.endswith("/chat/completions")
        made = _chat(body) if chat else _response(body)
        if not body.get("stream"):
            return self._say("application/json", json.dumps(made).encode())
        events = _chat_events(made) if chat else _response_events(made, fail="fail now" in json.dumps(body))
        return self._say("text/event-stream", "".join(events).encode())

    def _say(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _said(texts: list[str], results: list[str], *, tools: bool, wants_json: bool) -> str | None:
    """The answer's text; None: call the tool."""
    if wants_json:
        return ANSWER
    if results:
        return f"The tool says {results[-1]}."
    if tools and "weather" in texts[-1]:
        return None
    return "You said: " + " | ".join(texts)


# chat completions


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    texts = [_flat(each["content"]) for each in body["messages"] if each["role"] == "user"]
    results = [_flat(each["content"]) for each in body["messages"] if each["role"] == "tool"]
    wants = body.get("response_format", {}).get("type") == "json_schema"
    text = _said(texts, results, tools=bool(body.get("tools")), wants_json=wants)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if text is None:
        function = {"name": "get_weather", "arguments": ARGUMENTS}
        message["tool_calls"] = [{"id": "call_w1", "type": "function", "function": function}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": body["model"],
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if text is None else "stop"}
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }


def _chat_events(made: dict[str, Any]) -> Iterator[str]:
    choice = made["choices"][0]
    message = choice["message"]
    head = {key: made[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return f"data: {json.dumps({**head, 'choices': choices})}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    for word in _words(message["content"] or ""):
        yield chunk({"content": word})
    for n, call in enumerate(message.get("tool_calls", ())):
        yield chunk({"tool_calls": [{"index": n, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in _words(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    yield f"data: {json.dumps({**head, 'choices': [], 'usage': made['usage']})}\n\n"
    yield "data: [DONE]\n\n"


# responses


def _response(body: dict[str, Any]) -> dict[str, Any]:
    given = body["input"]
    items = (
        [{"role": "user", "content": given}] if isinstance(given, str) else cast(list[dict[str, Any]], given)
    )
    texts = [_flat(each["content"]) for each in items if each.get("role") == "user"]
    results = [_flat(each["output"]) for each in items if each.get("type") == "function_call_output"]
    wants = body.get("text", {}).get("format", {}).get("type") == "json_schema"
    text = _said(texts, results, tools=bool(body.get("tools")), wants_json=wants)
    return {
        "id": "resp_upstreams_own",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": None,
        "model": body["model"],
        "output": _output(text, turn=len(texts)),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE,
        "user": None,
        "metadata": {},
        "x_upstream": {"kept": True},
    }


def _output(text: str | None, *, turn: int) -> list[dict[str, Any]]:
    """A sealed thought, then the text, or the tool's call where there is none."""
    output: list[dict[str, Any]] = [
        {"id": "rs_up1", "type": "reasoning", "summary": [], "encrypted_content": f"sealed-{turn}"}
    ]
    if text is None:
        output.append(
            {
                "id": "fc_up1",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_w1",
                "name": "get_weather",
                "arguments": ARGUMENTS,
            }
        )
    else:
        part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        output.append(
            {
                "id": "msg_up1",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    return output


def _response_events(made: dict[str, Any], *, fail: bool) -> Iterator[str]:
    number = 0

    def event(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        told = {"type": kind, "sequence_number": number - 1, **fields}
        return f"event: {kind}\ndata: {json.dumps(told)}\n\n"

    begun: dict[str, Any] = {**made, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(made["output"]):
        where = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            opened: dict[str, Any] = {**item, "status": "in_progress", "content": []}
            yield event("response.output_item.added", output_index=index, item=opened)
            part, where = item["content"][0], where | {"content_index": 0}
            yield event("response.content_part.added", **where, part={**part, "text": ""})
            for word in _words(part["text"]):
                yield event("response.output_text.delta", **where, delta=word, logprobs=[])
                if fail:
                    error = {"code": "server_error", "message": "It broke."}
                    failed = {**made, "status": "failed", "error": error}
                    yield event("response.failed", response=failed)
                    return
            yield event("response.output_text.done", **where, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, part=part)
        elif item["type"] == "function_call":
            opened = {**item, "status": "in_progress", "arguments": ""}
            yield event("response.output_item.added", output_index=index, item=opened)
            for piece in _words(item["arguments"]):
                yield event("response.function_call_arguments.delta", **where, delta=piece)
            yield event("response.function_call_arguments.done", **where, arguments=item["arguments"])
        else:
            yield event("response.output_item.added", output_index=index, item=item)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=made)


def _flat(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _words(text: str) -> list[str]:
    pieces = text.split(" ")
    return [piece if n == 0 else f" {piece}" for n, piece in enumerate(pieces)] if text else []
