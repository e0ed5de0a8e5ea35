"""/schema describes what is served: each route is in it, and generated requests get the answers it promises."""

import importlib
import inspect
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from gateway.app import HOT
from inference.ir import errors
from tests.harness import GatewayProcess

# Its classes are generic for type checkers and not at run time, so their types cannot be written down.
schemathesis: Any = importlib.import_module("schemathesis")
checks: Any = importlib.import_module("schemathesis.checks")

OWN_LOGIN = {"/auth/me", "/auth/logout", "/auth/logout-everywhere", "/auth/password/change"}
"""Routes that take the caller's own access token."""

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="session")
def document(gateway: GatewayProcess) -> dict[str, Any]:
    """The schema as it is served, without a key."""
    answer = gateway.http.get(f"{gateway.url}/schema")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == gateway.http.get(f"{gateway.url}/schema/openapi.json").content
    return answer.json()


def test_every_operation_answers_and_every_other_method_is_refused(
    gateway: GatewayProcess, document: dict[str, Any]
) -> None:
    assert HOT.keys() <= document["paths"].keys()
    expected = {
        "/v1/models",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/admin/v1/usage",
        "/admin/v1/keys",
    }
    assert expected <= document["paths"].keys()
    for path, item in document["paths"].items():
        url = gateway.url + path.replace("{", "nobody-").replace("}", "")
        for method in METHODS:
            answer = gateway.http.request(method, url)
            if method in item:
                assert answer.status_code != 405, f"{method} {path} is described and not served"
                # Whoever needs no token is told what is wrong with an empty request.
                usual = (401,) if "security" in item[method] else (200, 204, 400, 404, 503)
                assert answer.status_code in usual, f"{method} {path}: {answer.status_code}"
            else:
                assert answer.status_code == 405, f"{method} {path} is served and not described"


def test_every_route_of_models_takes_tags(document: dict[str, Any]) -> None:
    for path in HOT:
        taken = {one["name"]: one for one in document["paths"][path]["post"]["parameters"]}
        assert taken["x-aspendos-tags"]["in"] == "header"
        assert taken["x-aspendos-tags"]["required"] is False
    assert "tags" in document["components"]["schemas"]["Hints"]["properties"]


def test_every_status_an_error_can_have_is_promised(document: dict[str, Any]) -> None:
    statuses = {
        str(error.status)
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.AspendosError)
    }
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                missing = statuses - {"499"} - item[method]["responses"].keys()
                assert not missing, f"{method} {path}"


def test_null_is_nothing_to_be_asked(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for body, field in (
        ("ChatBody", "messages"),
        ("CompletionBody", "prompt"),
        ("EmbeddingBody", "input"),
        ("MessagesBody", "messages"),
        ("RerankBody", "documents"),
    ):
        schema = schemas[body]["properties"][field]
        kinds = {one.get("type") for one in schema.get("anyOf", [schema])}
        assert kinds and kinds <= {"string", "array"}, (body, field)


def test_what_refuses_unknown_fields_and_empty_names_says_so(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for body in ("KeyCreate", "KeyPatch", "KeyRotate", "TeamCreate"):
        assert schemas[body]["additionalProperties"] is False, body
    assert schemas["KeyCreate"]["properties"]["name"]["maxLength"] == 64
    assert schemas["KeyCreate"]["properties"]["name"]["minLength"] == 1
    assert schemas["ChatBody"]["additionalProperties"] is True


def references(node: object) -> list[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        fields = cast(dict[str, object], node)
        own = fields.get("$ref")
        found = [text for value in fields.values() for text in references(value)]
        return [own, *found] if isinstance(own, str) else found
    if isinstance(node, list):
        return [text for value in cast(list[object], node) for text in references(value)]
    return []


def test_no_description_is_indented_like_the_source_it_comes_from(document: dict[str, Any]) -> None:
    def descriptions(value: object) -> list[str]:
        if isinstance(value, list):
            return [text for item in cast("list[object]", value) for text in descriptions(item)]
        if not isinstance(value, dict):
            return []
        inside = cast("dict[str, object]", value)
        own = inside.get("description")
        rest = [text for item in inside.values() for text in descriptions(item)]
        return [own, *rest] if isinstance(own, str) else rest

    said = descriptions(document)
    assert len(said) > 100
    assert [text for text in said if "\n    " in text] == []


def test_every_reference_and_every_operation_is_whole(document: dict[str, Any]) -> None:
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]
    ids: list[str] = []
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                ids.append(item[method]["operationId"])
                assert item[method].get("summary"), f"{method} {path} has no summary"
                secured = path.startswith(("/v1/", "/v1beta/", "/v2/", "/admin/")) or path in OWN_LOGIN
                assert ("security" in item[method]) == secured, path
    assert len(ids) == len(set(ids))


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


EXAMPLES = {"positive": 10, "negative": 5}
"""Requests to each operation. Invalid ones take long to make, and what refuses them is the same everywhere."""


@pytest.mark.parametrize("mode", EXAMPLES)
def test_generated_requests_are_answered_as_the_schema_says(
    gateway: GatewayProcess, document: dict[str, Any], mode: str
) -> None:
    """Valid data and invalid; what changes teams and keys touches only those it makes up."""
    key = gateway.new_key()
    tried: set[str] = set()
    failures: list[str] = []
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        takes = bool(operation.path_parameters or operation.query or operation.body)
        if mode == "negative" and not takes:
            continue  # there is nothing that could be wrong
        token = gateway.admin_key if operation.path.startswith("/admin/") else key.text
        cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
        try:
            _try(cases, gateway.url, token, EXAMPLES[mode])
        except Unsatisfiable:
            assert mode == "negative", f"{operation.label}: no valid data can be made"
            continue  # any data is valid
        except (checks.Failure, checks.FailureGroup) as error:
            failures.append(f"{operation.label}: {error}")
        tried.add(operation.label)
    assert not failures, "\n\n".join(failures)
    assert {"POST /v1/chat/completions", "POST /v1/embeddings", "POST /admin/v1/keys"} <= tried
    assert len(gateway.usage(key=key.id)) >= 10, "they reached the pipeline"


def _try(cases: Any, url: str, token: str, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=cases)
    def one(case: Any) -> None:
        bearer = {"authorization": f"Bearer {token}"}
        case.call_and_validate(base_url=url, headers=bearer, checks=CHECKS, timeout=10)

    one()
