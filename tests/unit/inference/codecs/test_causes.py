"""One cause has one code, whoever refuses: a table over wire formats, of bodies as the providers document them."""

import json
from typing import Any

import pytest

from inference.codecs.causes import Cause, cause_of, status_of
from inference.ir.errors import AspendosError
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vertex import WIRE as VERTEX
from inference.providers.vllm import WIRE as VLLM
from inference.wire import Wire


def openai(code: str | int | None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "Words.", "type": "invalid_request_error", "code": code, **more}}


def mistral(kind: str, code: str) -> dict[str, Any]:
    return {"object": "error", "message": "Words.", "type": kind, "param": None, "code": code}


def vllm(kind: str, status: int, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": "Words.", "type": kind, "param": param, "code": status}}


def anthropic(kind: str, message: str = "Words.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 0, "message": "Words.", "status": status, "details": list(details)}}


FLAGGED = {"error": {"code": 403, "message": "Words.", "metadata": {"reasons": ["x"], "flagged_input": "y"}}}
DETAIL = {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Words."}]}}

CASES: list[tuple[Wire, int, Any, int, str]] = [
    (OPENAI, 400, openai("context_length_exceeded"), 400, "context_length_exceeded"),
    (RESPONSES, 400, openai("context_length_exceeded", param="input"), 400, "context_length_exceeded"),
    (AZURE, 400, openai("context_length_exceeded"), 400, "context_length_exceeded"),
    (VLLM, 400, openai("context_length_exceeded"), 400, "context_length_exceeded"),
    (OPENAI, 400, openai("content_policy_violation"), 400, "content_policy_violation"),
    (RESPONSES, 400, openai("invalid_prompt"), 400, "content_policy_violation"),
    (AZURE, 400, openai("content_filter", innererror={"code": "x"}), 400, "content_policy_violation"),
    (OPENAI, 403, FLAGGED, 400, "content_policy_violation"),
    (COHERE, 498, {"message": "Words."}, 400, "content_policy_violation"),
    (OPENAI, 404, openai("model_not_found"), 502, "upstream_model_not_found"),
    (RESPONSES, 400, openai("model_not_found", param="model"), 502, "upstream_model_not_found"),
    (AZURE, 404, openai("DeploymentNotFound"), 502, "upstream_model_not_found"),
    (VLLM, 404, vllm("NotFoundError", 404), 502, "upstream_model_not_found"),
    (VLLM, 404, {"object": "error", **vllm("NotFoundError", 404)["error"]}, 502, "upstream_model_not_found"),
    (MISTRAL, 400, mistral("invalid_model", "1500"), 502, "upstream_model_not_found"),
    (COHERE, 404, {"id": "1", "message": "Words."}, 502, "upstream_model_not_found"),
    (ANTHROPIC, 404, anthropic("not_found_error", "model: Words."), 502, "upstream_model_not_found"),
    (GEMINI, 404, google("NOT_FOUND"), 502, "upstream_model_not_found"),
    (VERTEX, 404, google("NOT_FOUND"), 502, "upstream_model_not_found"),
    (BEDROCK, 404, {"message": "Words."}, 502, "upstream_model_not_found"),
    (OPENAI, 404, openai("previous_response_not_found"), 404, "previous_response_not_found"),
    (ANTHROPIC, 404, anthropic("not_found_error"), 404, "not_found"),
    (OPENAI, 400, openai("decimal_below_min_value"), 400, "invalid_value"),
    (OPENAI, 400, openai("unsupported_value"), 400, "invalid_value"),
    (OPENAI, 400, openai("unknown_parameter"), 400, "unsupported_parameter"),
    (OPENAI, 400, openai("unsupported_parameter"), 400, "unsupported_parameter"),
    (OPENAI, 400, openai("missing_required_parameter"), 400, "missing_field"),
    (OPENAI, 400, openai("invalid_function_parameters"), 400, "invalid_tool"),
    (OPENAI, 400, openai("invalid_image_url"), 400, "media_unreachable"),
    (OPENAI, 400, openai("invalid_base64_image"), 400, "invalid_image"),
    (OPENAI, 400, openai("a_new_code"), 400, "upstream_refused"),
    (OPENAI, 400, openai(None), 400, "upstream_refused"),
    (MISTRAL, 422, DETAIL, 422, "upstream_refused"),
    (ANTHROPIC, 400, anthropic("invalid_request_error"), 400, "upstream_refused"),
    (GEMINI, 400, google("INVALID_ARGUMENT"), 400, "upstream_refused"),
    (BEDROCK, 400, {"message": "Words."}, 400, "upstream_refused"),
    (OPENAI, 413, openai(None), 413, "request_too_large"),
    (ANTHROPIC, 413, anthropic("request_too_large"), 413, "request_too_large"),
    (OPENAI, 429, openai("rate_limit_exceeded"), 429, "upstream_rate_limited"),
    (ANTHROPIC, 429, anthropic("rate_limit_error"), 429, "upstream_rate_limited"),
    (GEMINI, 429, google("RESOURCE_EXHAUSTED"), 429, "upstream_rate_limited"),
    (MISTRAL, 429, mistral("rate_limited", "1300"), 429, "upstream_rate_limited"),
    (BEDROCK, 429, {"message": "Words."}, 429, "upstream_rate_limited"),
    (OPENAI, 503, openai(None), 503, "upstream_overloaded"),
    (ANTHROPIC, 529, anthropic("overloaded_error"), 503, "upstream_overloaded"),
    (GEMINI, 503, google("UNAVAILABLE"), 503, "upstream_overloaded"),
    (BEDROCK, 503, {"message": "Words."}, 503, "upstream_overloaded"),
    (COHERE, 500, {"message": "Words."}, 502, "upstream_failed"),
]


@pytest.mark.parametrize(("wire", "status", "body", "ours", "code"), CASES)
def test_one_cause_has_one_code(wire: Wire, status: int, body: Any, ours: int, code: str) -> None:
    error = wire.error(status, None, json.dumps(body).encode())
    assert (error.http_status, error.code) == (ours, code)
    assert "Words." in error.message


@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [(OPENAI, 429, openai("insufficient_quota")), (OPENAI, 402, openai(402)), (ANTHROPIC, 402, {})],
)
def test_an_account_that_cannot_pay_is_the_operators(wire: Wire, status: int, body: Any) -> None:
    error: AspendosError = wire.error(status, None, json.dumps(body).encode())
    assert (error.http_status, error.code) == (502, "upstream_auth")


def test_a_field_is_named_where_the_provider_names_it() -> None:
    refused = ANTHROPIC.error(
        400, None, json.dumps(anthropic("invalid_request_error", "messages.0.content: bad")).encode()
    )
    assert refused.param == "messages.0.content"
    assert OPENAI.error(400, None, json.dumps(openai("invalid_value", param="n")).encode()).param == "n"


def test_words_in_any_case() -> None:
    assert cause_of(400, None, "Context_Length_Exceeded") is Cause.CONTEXT
    assert cause_of(400, "nothing", "known") is None
    assert cause_of(409) is Cause.CONFLICT


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("context_length_exceeded",), 400),
        (("model_not_found",), 404),
        (("insufficient_quota",), 429),
        ((None, "overloaded_error"), 503),
        (("BadRequestError",), 400),
        (("odd", None), None),
    ],
)
def test_what_an_error_in_a_stream_would_have_been(words: tuple[str | None, ...], status: int | None) -> None:
    assert status_of(*words) == status
