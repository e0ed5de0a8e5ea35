"""The hot routes in OpenAPI: described from the very types their decoders use, merged into Litestar's schema."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from gateway.dialects.anthropic_messages import MessagesBody
from gateway.dialects.embeddings import EmbeddingBody
from gateway.dialects.gemini import GeminiBody
from gateway.dialects.gemini.count import GeminiCountBody
from gateway.dialects.gemini.embeddings import GeminiEmbeddingBody, GeminiEmbeddingsBody
from gateway.dialects.moderations import ModerationBody
from gateway.dialects.openai_chat import ChatBody
from gateway.dialects.openai_completions import CompletionBody
from gateway.dialects.openai_responses import ResponseBody
from gateway.dialects.rerank import RerankBody
from gateway.dialects.translate import TranslateBody
from gateway.http import openapi_bodies, openapi_media
from gateway.http.auth import permissions
from gateway.http.count_tokens import CountTokensBody
from gateway.http.files import LONGEST, PURPOSES, SHORTEST
from inference.ir.errors import AspendosError
from policies.roles import PERMISSIONS, Permission, Role

_REF = "#/components/schemas/{name}"
_GEMINI = "/v1beta/models"
_SURFACES: dict[str, tuple[str, str, type[msgspec.Struct], bool]] = {
    "/v1/chat/completions": ("createChatCompletion", "Chat, streamed or not", ChatBody, True),
    "/v1/completions": ("createCompletion", "Legacy completion, streamed or not", CompletionBody, True),
    "/v1/messages": ("createMessage", "Anthropic's Messages, streamed or not", MessagesBody, True),
    "/v1/messages/count_tokens": (
        "countMessageTokens",
        "How many tokens a message would be read as, counted by a target whose provider counts, else estimated",
        CountTokensBody,
        False,
    ),
    "/v1/responses": ("createResponse", "A response, streamed or not", ResponseBody, True),
    "/v1/responses/input_tokens": (
        "countResponseTokens",
        "How many tokens a response would read, counted by a target whose provider counts, else estimated",
        ResponseBody,
        False,
    ),
    f"{_GEMINI}/{{model}}:generateContent": (
        "generateContent",
        "Gemini's generateContent",
        GeminiBody,
        False,
    ),
    f"{_GEMINI}/{{model}}:streamGenerateContent": (
        "streamGenerateContent",
        "The same, streamed: as events with `?alt=sse`, else as one JSON array that grows",
        GeminiBody,
        True,
    ),
    f"{_GEMINI}/{{model}}:countTokens": (
        "countTokensOfContents",
        "How many tokens Gemini's contents are, counted by a target whose provider counts, else estimated",
        GeminiCountBody,
        False,
    ),
    f"{_GEMINI}/{{model}}:embedContent": (
        "embedContent",
        "One content as a vector",
        GeminiEmbeddingBody,
        False,
    ),
    f"{_GEMINI}/{{model}}:batchEmbedContents": (
        "batchEmbedContents",
        "Several contents, each as a vector",
        GeminiEmbeddingsBody,
        False,
    ),
    "/v1/embeddings": ("createEmbedding", "Embeddings", EmbeddingBody, False),
    "/v1/rerank": ("rerank", "Documents in the order in which they answer a question", RerankBody, False),
    "/v2/rerank": ("rerankV2", "The same, where Cohere's SDK looks for it", RerankBody, False),
    "/v1/moderations": ("createModeration", "Text and pictures judged", ModerationBody, False),
    **openapi_media.SURFACES,
    "/v1/translate": ("translate", "Texts into another language", TranslateBody, False),
}
_OUR_HEADERS = {
    "x-request-id": "This request, in logs and usage records.",
    "x-aspendos-model": "The model that answered, by its name in the catalogue.",
    "x-aspendos-provider": "The provider that answered.",
    "x-aspendos-attempts": "How many targets were tried.",
    "x-aspendos-overhead-us": "Microseconds the gateway itself took before answering.",
    "x-aspendos-cost": "USD, decimal; for streams in a comment at the end.",
    "x-aspendos-dropped": "What was not carried to the model or back, by the fields' paths.",
    "x-aspendos-structured": "By what a form of the answer was asked for in a translated request: `native`, `tool` or "
    "`prompt`.",
}
ERROR_STATUSES = {
    "400": "The request cannot be understood.",
    "401": "No key, or one that is unknown, expired or disabled.",
    "402": "The credit left, or a budget, does not cover it.",
    "403": "The key may not use this model.",
    "404": "No such model.",
    "405": "Wrong method.",
    "408": "The body came too slowly.",
    "409": "It would overwrite something, or leave something behind.",
    "413": "The body is too large.",
    "414": "The path is too long.",
    "415": "The body is not JSON, or no form where one is wanted.",
    "422": "The upstream refused the request.",
    "429": "The upstream is limiting requests.",
    "431": "The head is too large.",
    "500": "The gateway failed.",
    "502": "The upstream failed, or refused the gateway's own key.",
    "503": "A dependency is away, or the model is switched off.",
    "504": "The upstream took too long.",
}


class CompleteSchema(JsonRenderPlugin):
    """Serves the document at /schema and /schema/openapi.json, the hot routes included."""

    def __init__(self) -> None:
        super().__init__(path=["/", "/openapi.json"], media_type="application/json")  # pyright: ignore[reportArgumentType]  # any media type is taken
        self._document: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, made on the first request."""
        if self._document is None:
            document = completed(openapi_schema, permissions(request.app))
            openapi_bodies.describe_strict(document["components"]["schemas"], request.app)
            self._document = msgspec.json.encode(document)
        return self._document


def completed(
    document: dict[str, Any], needed: Mapping[tuple[str, str], Permission] | None = None
) -> dict[str, Any]:
    """The schema with the hot routes, the error object, the key schemes and the permissions `needed` added."""
    document = copy.deepcopy(document)
    components: dict[str, Any] = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    paths: dict[str, Any] = document.setdefault("paths", {})
    bodies = [body for _, _, body, _ in _SURFACES.values()]
    _, described = msgspec.json.schema_components(bodies, ref_template=_REF)
    for name, schema in described.items():
        said = inspect.cleandoc(schema.get("description", ""))
        schemas[name] = {**schema, **({"description": said} if said else {}), "additionalProperties": True}
    openapi_bodies.describe_raw(schemas)
    schemas["Error"] = _ERROR
    schemas["GoogleError"] = _GOOGLE_ERROR
    schemas["AnthropicError"] = _ANTHROPIC_ERROR
    components["securitySchemes"] = {
        "virtualKey": {"type": "http", "scheme": "bearer", "description": "A key `ask-<id>-<secret>`."},
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of POST /auth/login, or of a trusted OpenID Connect issuer.",
        },
        "adminKey": {"type": "http", "scheme": "bearer", "description": "The value of ASPENDOS_ADMIN_KEY."},
    }
    for path, (operation, summary, body, streams) in _SURFACES.items():
        paths[path] = {"post": _operation(operation, summary, body, streams)}
        if "{model}" in path:
            paths[path]["parameters"] = [_MODEL]
    openapi_media.complete(paths, schemas)
    for item in paths.values():
        parameters = item.get("get", {}).get("parameters", ())
        if any(one.get("name") == "format" for one in parameters):
            # Answered as CSV too; Litestar's own description knows one media type an answer.
            item["get"]["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    if "/v1/files" in paths:
        paths["/v1/files"]["post"]["requestBody"] = _UPLOAD
    for path, item in paths.items():
        for method, operation in item.items():
            if method in _METHODS:
                _finish(path, operation)
                _permit(operation, (needed or {}).get((path, method)))
    return document


def _permit(operation: dict[str, Any], permission: Permission | None) -> None:
    """Say which permission an operation takes, and who has it."""
    if permission is None:
        return
    holders = [role.value for role in Role if permission in PERMISSIONS[role]]
    operation["x-permission"] = permission.value
    text = f"Takes the permission `{permission.value}`: {', '.join(['the operator', *holders])}."
    operation["description"] = "\n\n".join(filter(None, (operation.get("description", ""), text)))


_METHODS = frozenset({"get", "post", "patch", "put", "delete"})


def _operation(operation: str, summary: str, body: type[msgspec.Struct], streams: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "application/json": {"schema": {"type": "object", "additionalProperties": True}}
    }
    if streams:
        content["text/event-stream"] = {
            "schema": {"type": "string", "description": "`data: {...}` events, then [DONE]"}
        }
    return {
        "operationId": operation,
        "summary": summary,
        "description": inspect.cleandoc(body.__doc__ or ""),
        "tags": ["OpenAI"],
        "parameters": [_TAGS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=body.__name__)}}},
        },
        "responses": {
            "200": {
                "description": "The upstream's answer, unchanged",
                "content": content,
                "headers": {
                    name: {"description": text, "schema": {"type": "string"}}
                    for name, text in _OUR_HEADERS.items()
                },
            }
        },
    }


def _finish(path: str, operation: dict[str, Any]) -> None:
    """Every operation can fail in the ways of the error tree; which key it takes depends on its path."""
    responses = operation.setdefault("responses", {})
    for status, text in ERROR_STATUSES.items():
        responses[status] = {
            "description": text,
            "content": {"application/json": {"schema": _error_schema(path)}},
        }
    if path.startswith(("/v1/", "/v1beta/", "/v2/")):
        operation["security"] = [{"virtualKey": []}, {"accessToken": []}]
    elif path.startswith("/admin/"):
        operation["security"] = [{"adminKey": []}, {"accessToken": []}]


def _error_schema(path: str) -> dict[str, Any]:
    """The form of the clients that ask there; what is refused before the request is read keeps OpenAI's."""
    own = {"$ref": _REF.format(name="Error")}
    for start, name in _ERROR_FORMS.items():
        if path.startswith(start):
            return {"anyOf": [{"$ref": _REF.format(name=name)}, own]}
    return own


_ERROR_FORMS = {"/v1beta/": "GoogleError", "/v1/messages": "AnthropicError"}
_MODEL: dict[str, Any] = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "The model's name or an alias; a `/` in it may be written as %2F.",
    "schema": {"type": "string", "minLength": 1},
}
_TAGS: dict[str, Any] = {
    "name": "x-aspendos-tags",
    "in": "header",
    "required": False,
    "description": "Tags of this request, `project=atlas, environment=prod`: at most 16, compared exactly. A body's "
    "`aspendos.tags` win over them; those of the key, its user, team and organisation win over both.",
    "schema": {"type": "string"},
}
_UPLOAD: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["purpose", "file"],
                "properties": {
                    "purpose": {"enum": list(PURPOSES)},
                    "file": {"type": "string", "format": "binary"},
                    "expires_after[anchor]": {"const": "created_at"},
                    "expires_after[seconds]": {"type": "integer", "minimum": SHORTEST, "maximum": LONGEST},
                },
            }
        }
    },
}
_NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR: dict[str, Any] = {
    "type": "object",
    "description": inspect.cleandoc(AspendosError.__doc__ or ""),
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": _NULLABLE,
                "code": _NULLABLE,
            },
        }
    },
}
_GOOGLE_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "An error as Google's SDKs read it.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "message": {"type": "string"},
                "status": {"type": "string", "description": "A status of gRPC, such as `INVALID_ARGUMENT`."},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}
_ANTHROPIC_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "An error as Anthropic's SDKs read it.",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": _NULLABLE,
    },
}
