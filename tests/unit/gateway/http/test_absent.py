"""Paths at which nothing is served: the base URL of an SDK, and whose it is."""

import pytest

from gateway.http.absent import nothing_at
from gateway.http.errors import family_of
from inference.ir.content import Family

OPENAI = "the base URL of OpenAI's SDK ends in /v1."
ANTHROPIC = "the base URL of Anthropic's SDK is without /v1."
GOOGLE = "the base URL of Google's SDK is without a version."
COHERE = "the base URL of Cohere's SDK is without a version."


@pytest.mark.parametrize(
    ("path", "right", "why"),
    [
        ("/chat/completions", "/v1/chat/completions", OPENAI),
        ("/v1/v1/chat/completions", "/v1/chat/completions", OPENAI),
        ("/openai/v1/responses", "/v1/responses", OPENAI),
        ("/models", "/v1/models", OPENAI),
        ("/models/a/b", "/v1/models/a/b", OPENAI),
        ("/audio/speech", "/v1/audio/speech", OPENAI),
        ("/v1/v1/messages", "/v1/messages", ANTHROPIC),
        ("/v1/v1/messages/count_tokens", "/v1/messages/count_tokens", ANTHROPIC),
        ("/messages", "/v1/messages", ANTHROPIC),
        ("/v1/v1beta/models/a:generateContent", "/v1beta/models/a:generateContent", GOOGLE),
        ("/v1/v1/models/a/b:streamGenerateContent", "/v1beta/models/a/b:streamGenerateContent", GOOGLE),
        ("/v1beta/v1beta/models", "/v1beta/models", GOOGLE),
        ("/v1/v2/rerank", "/v1/rerank and /v2/rerank", COHERE),
    ],
)
def test_a_wrong_base_url_is_told_the_right_one(path: str, right: str, why: str) -> None:
    said = nothing_at(path, family_of(path)).message
    assert said == f"There is nothing at {path}. It is at {right}: {why}"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/rerank", "/v2/rerank"])
def test_a_slash_too_many_is_told(path: str) -> None:
    said = nothing_at(f"{path}/", family_of(f"{path}/")).message
    assert said == f"There is nothing at {path}/. It is at {path}: without a slash at its end."


def test_a_wrong_base_url_with_a_slash_too_many_is_told_too() -> None:
    assert "It is at /v1/chat/completions: " in nothing_at("/chat/completions/", Family.OPENAI_CHAT).message


def test_who_asks_for_models_is_told_by_its_headers() -> None:
    path = "/v1/v1/models"
    for header, why in (("anthropic-version", ANTHROPIC), ("x-goog-api-client", GOOGLE), ("accept", OPENAI)):
        assert nothing_at(path, family_of(path, {header: "x"})).message.endswith(why)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/assistants", "/v1/threads/t/messages", "/v1/messages/batches", "/v1beta/models", "/x/models"],
)
def test_of_any_other_path_nothing_is_guessed(path: str) -> None:
    assert nothing_at(path, family_of(path)).message.endswith(". GET /schema lists what there is.")
