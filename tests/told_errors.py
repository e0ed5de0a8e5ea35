"""Errors as the gateway tells them: what every one of them has to be like."""

import re
from typing import Any

import httpx

from tests.harness import ADMIN_KEY, ROOT, UPSTREAM_KEY, GatewayProcess

CANARY = "prompt-canary-4be1f7"
MESSAGES = [{"role": "user", "content": CANARY}]
CHAT = "/v1/chat/completions"


def checked(answer: httpx.Response) -> dict[str, Any]:
    """An error's object, once its shape, headers and silence about secrets are found in order."""
    assert answer.status_code >= 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req-[0-9a-f]{24}", answer.headers["x-request-id"])
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert len(error["message"]) > 15
    for secret in (UPSTREAM_KEY, ADMIN_KEY, "Traceback", str(ROOT)):
        assert secret not in answer.text
    return error


def post(gateway: GatewayProcess, headers: dict[str, str], **fields: Any) -> httpx.Response:
    """A chat that may be refused."""
    body = {"model": "events-8", "messages": MESSAGES, **fields}
    return gateway.http.post(gateway.url + CHAT, json=body, headers=headers, timeout=15)
