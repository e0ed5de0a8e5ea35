"""A prompt that its model cannot hold, in each provider's own words: one code, whoever says it."""

import json
import re
from typing import Any, cast

import pytest

from gateway.dialects.anthropic_messages.errors import error_body, error_event
from gateway.dialects.gemini.errors import error_body as gemini_body
from gateway.dialects.openai_errors import error_body as openai_body
from inference.codecs.overflow import OF_ANTHROPIC, OF_BEDROCK, OF_COHERE, OF_GOOGLE, OF_MISTRAL, OF_OPENAI
from inference.ir.errors import UpstreamFailed, UpstreamRateLimited, UpstreamRefused
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.anthropic.errors import read_stream_error
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.bedrock.errors import read_exception
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_reasoning import WIRE as REASONING
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vertex import WIRE as VERTEX
from inference.providers.vllm import WIRE as VLLM
from inference.providers.voyage import WIRE as VOYAGE
from inference.wire import Wire

CODE = "context_length_exceeded"


def openai(message: str, kind: str = "invalid_request_error", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, **more}}


def anthropic(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def google(message: str) -> dict[str, Any]:
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


def bedrock(message: str) -> dict[str, Any]:
    return {"message": f"The model returned the following errors: {message}"}


LONG = "prompt is too long: 206456 tokens > 200000 maximum"
BOTH = (
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or "
    "`max_tokens` and try again"
)
TOLD: list[tuple[str, Wire, int, Any]] = [
    ("anthropic", ANTHROPIC, 400, anthropic(LONG)),
    ("anthropic with output", ANTHROPIC, 400, anthropic(BOTH)),
    (
        "google",
        GEMINI,
        400,
        google("The input token count (1300000) exceeds the maximum number of tokens allowed (1048575)."),
    ),
    (
        "google bare",
        GEMINI,
        400,
        google("The input token count exceeds the maximum number of tokens allowed 1048576."),
    ),
    (
        "vertex",
        VERTEX,
        400,
        google(
            "Unable to submit request because the input token count is 1400000 but model only supports up to 1048576. "
            "Reduce the input token count and try again."
        ),
    ),
    ("claude at vertex", VERTEX, 400, anthropic(LONG)),
    ("bedrock", BEDROCK, 400, {"message": "Input is too long for requested model."}),
    ("claude at bedrock", BEDROCK, 400, bedrock(LONG)),
    (
        "nova",
        BEDROCK,
        400,
        bedrock(
            "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try "
            "again."
        ),
    ),
    (
        "llama at bedrock",
        BEDROCK,
        400,
        {
            "message": "This model's maximum context length is 131072 tokens. Please reduce the length of the prompt"
        },
    ),
    (
        "cohere",
        COHERE,
        400,
        {
            "message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. "
            "Try using a shorter prompt, or enabling prompt truncating."
        },
    ),
    (
        "mistral",
        MISTRAL,
        400,
        {
            "object": "error",
            "message": "Prompt contains 40969 tokens and 0 draft tokens, too large for model with 32768 maximum "
            "context length",
            "type": "invalid_request_prompt",
            "param": None,
            "code": "3051",
        },
    ),
    (
        "vllm",
        VLLM,
        400,
        openai(
            "This model's maximum context length is 4096 tokens. However, you requested 5048 tokens (3000 in the "
            "messages, 2048 in the completion). Please reduce the length of the messages or completion.",
            "BadRequestError",
            param=None,
            code=400,
        ),
    ),
    (
        "vllm's engine",
        VLLM,
        400,
        openai(
            "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
            "BadRequestError",
        ),
    ),
    (
        "xai",
        OPENAI,
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
    ),
    (
        "groq",
        OPENAI,
        400,
        openai("Please reduce the length of the messages or completion.", param="messages"),
    ),
    ("groq 413", OPENAI, 413, openai("Please reduce the length of the messages or completion.")),
    (
        "openrouter",
        OPENAI,
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 128000 tokens. However, you requested about "
                "140000 tokens (139000 of text input, 1000 in the output).",
                "code": 400,
            }
        },
    ),
    ("claude at openrouter", OPENAI, 400, openai(LONG)),
    (
        "together",
        OPENAI,
        422,
        openai(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens"
        ),
    ),
    (
        "sglang",
        OPENAI,
        400,
        openai("The input (150000 tokens) is longer than the model's context length (131072 tokens)."),
    ),
    (
        "deepseek",
        REASONING,
        400,
        openai("This model's maximum context length is 65536 tokens. However, you requested 70000 tokens"),
    ),
    ("zai", REASONING, 400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
    (
        "tgi",
        OPENAI,
        422,
        {"error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"},
    ),
    ("ollama", OPENAI, 400, openai("the input length exceeds the context length", "api_error")),
    (
        "llama.cpp",
        OPENAI,
        400,
        openai(
            "the request exceeds the available context size, try increasing it", "exceed_context_size_error"
        ),
    ),
    (
        "older llama.cpp",
        OPENAI,
        400,
        openai("the request exceeds the available context size, try increasing it"),
    ),
    (
        "vllm of late",
        VLLM,
        400,
        openai(
            "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is "
            "only 4096 tokens, resulting in a maximum input length of 3996 tokens.",
            "BadRequestError",
        ),
    ),
    (
        "ollama's chat",
        OPENAI,
        400,
        openai("prompt too long; exceeded max context length by 4096 tokens", "api_error"),
    ),
    (
        "lm studio",
        OPENAI,
        400,
        {"error": "The number of tokens to keep from the initial prompt is greater than the context length."},
    ),
    ("moonshot", OPENAI, 400, openai("Your request exceeded model token limit: 262144 (requested: 300000)")),
    (
        "titan",
        BEDROCK,
        400,
        {"message": "Too many input tokens. Max input tokens: 8192, request input token count: 9000 "},
    ),
    (
        "a router",
        OPENAI,
        400,
        openai("Requested token count exceeds the model's maximum context length of 131072 tokens."),
    ),
    (
        "embeddings of openai",
        OPENAI,
        400,
        openai("This model's maximum context length is 8192 tokens, however you requested 10346 tokens"),
    ),
    ("azure", AZURE, 400, openai("This model's maximum context length is 128000 tokens.", code=CODE)),
    (
        "responses",
        RESPONSES,
        400,
        openai(
            "Your input exceeds the context window of this model. Please adjust your input and try again."
        ),
    ),
    (
        "voyage",
        cast(Wire, VOYAGE),
        400,
        {
            "detail": "Request to model 'voyage-3' failed. The example at index 0 in your batch has too many tokens "
            "and does not fit into the model's context window of 32000 tokens."
        },
    ),
]


@pytest.mark.parametrize(("wire", "status", "body"), [pytest.param(*each[1:], id=each[0]) for each in TOLD])
def test_a_prompt_that_is_too_long(wire: Wire, status: int, body: Any) -> None:
    error = wire.error(status, None, json.dumps(body).encode())
    assert isinstance(error, UpstreamRefused)
    assert (error.http_status, error.code) == (400, CODE)


@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [
        (
            COHERE,
            400,
            {"message": "too many tokens: max tokens must be less than or equal to 4096, the maximum output"},
        ),
        (
            OPENAI,
            400,
            openai("max_tokens is too large: 99999. This model supports at most 16384 completion tokens"),
        ),
        (
            ANTHROPIC,
            400,
            anthropic("max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens"),
        ),
        (ANTHROPIC, 400, anthropic("messages.0.content: text is too long")),
        (GEMINI, 400, google("Unable to submit request because maxOutputTokens is too large.")),
        (BEDROCK, 400, {"message": "The maximum tokens you requested exceeds the model limit of 10000."}),
        (MISTRAL, 400, {"object": "error", "message": "Input is too long for requested model."}),
    ],
)
def test_what_only_sounds_like_it(wire: Wire, status: int, body: Any) -> None:
    assert wire.error(status, None, json.dumps(body).encode()).code == "upstream_refused"


def test_only_a_refusal_says_it() -> None:
    words = json.dumps(openai("Please reduce the length of the messages or completion.")).encode()
    assert isinstance(OPENAI.error(429, None, words), UpstreamRateLimited)
    assert isinstance(OPENAI.error(500, None, words), UpstreamFailed)
    assert OPENAI.error(404, None, words).code == "not_found"
    filtered = json.dumps(openai("maximum context length is 5", code="content_filter")).encode()
    assert OPENAI.error(400, None, filtered).code == "content_policy_violation"
    assert (
        BEDROCK.error(
            429, None, b'{"message":"Too many tokens, please wait before trying again."}'
        ).http_status
        == 429
    )


@pytest.mark.parametrize(
    "sentence", [*OF_OPENAI, *OF_ANTHROPIC, *OF_GOOGLE, *OF_BEDROCK, *OF_COHERE, *OF_MISTRAL]
)
def test_every_sentence_is_somebodys(sentence: str) -> None:
    assert any(re.search(sentence, str(body), re.IGNORECASE) for _, _, _, body in TOLD)


def test_inside_a_stream() -> None:
    assert read_stream_error(json.dumps(anthropic(LONG)).encode()).code == CODE
    assert read_exception("validationException", json.dumps(bedrock(LONG)).encode()).code == CODE


def test_every_dialect_says_it_as_its_clients_look_for_it() -> None:
    told = VLLM.error(
        400, None, json.dumps(openai("This model's maximum context length is 4096 tokens.")).encode()
    )
    own = ANTHROPIC.error(400, None, json.dumps(anthropic(LONG)).encode())
    assert json.loads(openai_body(own))["error"] | {"param": None} == {
        "message": LONG,
        "type": "invalid_request_error",
        "param": None,
        "code": CODE,
    }
    google_error = json.loads(gemini_body(own, None))["error"]
    assert (google_error["code"], google_error["status"], google_error["message"]) == (
        400,
        "INVALID_ARGUMENT",
        LONG,
    )
    for error, message in (
        (own, LONG),
        (told, "prompt is too long: This model's maximum context length is 4096 tokens."),
    ):
        expected = {"type": "invalid_request_error", "message": message}
        assert json.loads(error_body(error))["error"] == expected
        assert json.loads(error_event(error).partition(b"data: ")[2])["error"] == expected
