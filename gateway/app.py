"""build_app(): the ASGI application. Hot routes straight to the pipeline, everything else through Litestar."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.di import Provide
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi import OpenAPIConfig
from litestar.status_codes import HTTP_404_NOT_FOUND
from litestar.types import Message, Scope

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Dialect
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.image_forms import ImageEdits, ImageVariations
from gateway.dialects.images import Images
from gateway.dialects.moderations import Moderations
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_completions import Completions
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.count import InputTokens
from gateway.dialects.rerank import Rerank
from gateway.dialects.speech import Speech
from gateway.dialects.transcriptions import AudioTranslations, Transcriptions
from gateway.dialects.translate import Translate
from gateway.edge.asgi import AsgiApp, EdgeApp
from gateway.edge.config import EdgeConfig, Room
from gateway.edge.edge import Handler
from gateway.http.absent import nothing_at
from gateway.http.account import AccountController
from gateway.http.admin.audit import AuditController
from gateway.http.admin.budgets import AlertTargetController, BudgetController
from gateway.http.admin.config import ConfigController
from gateway.http.admin.credits import CreditController
from gateway.http.admin.invoices import InvoiceController
from gateway.http.admin.keys import KeyController
from gateway.http.admin.organisations import OrganisationController
from gateway.http.admin.provider_keys import OwnProviderKeyController, ProviderKeyController
from gateway.http.admin.reconciliation import ReconciliationController
from gateway.http.admin.reports import ReportController
from gateway.http.admin.teams import TeamController
from gateway.http.admin.tiers import TierController
from gateway.http.admin.usage import UsageController
from gateway.http.admin.users import UserController
from gateway.http.auth import admin_guard, check_permissions
from gateway.http.batches import BatchController
from gateway.http.billing import BillingController
from gateway.http.caller import Caller, provide_caller
from gateway.http.count_tokens import CountTokens
from gateway.http.errors import family_of, render_error
from gateway.http.exact import exact_body
from gateway.http.files import FileController
from gateway.http.gemini import gemini_finder
from gateway.http.gemini_models import GeminiModelController
from gateway.http.head import ASKED, HeadAsGet
from gateway.http.health import HealthController
from gateway.http.login import InvitationController, LoginController, key_set
from gateway.http.metrics import metrics
from gateway.http.models import ModelController
from gateway.http.openapi import CompleteSchema
from gateway.http.responses import ResponseController
from gateway.http.webhooks import receive_webhook
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.version import VERSION
from gateway.wiring import Gateway
from inference.ir.errors import AspendosError, BadRequest, Internal, InvalidField, MethodNotAllowed

_log = structlog.stdlib.get_logger("app")

HOT: dict[str, Dialect] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completions(),
    "/v1/messages": Messages(),
    "/v1/messages/count_tokens": CountTokens(),
    "/v1/embeddings": Embeddings(),
    "/v1/responses": Responses(),
    "/v1/responses/input_tokens": InputTokens(),
    "/v1/rerank": Rerank(),
    "/v2/rerank": Rerank(),
    "/v1/moderations": Moderations(),
    "/v1/audio/speech": Speech(),
    "/v1/audio/transcriptions": Transcriptions(),
    "/v1/audio/translations": AudioTranslations(),
    "/v1/images/generations": Images(),
    "/v1/images/edits": ImageEdits(),
    "/v1/images/variations": ImageVariations(),
    "/v1/translate": Translate(),
}
"""The routes where every microsecond counts."""

_METHODS = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""The pipeline itself refuses all but the first, in its own words."""

_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_FORM_BYTES = 64 * 1024
"""What an upload may have beside its file."""
_UPLOAD_SECONDS = 3600.0


def build_app(settings: Settings, gateway: Gateway, *, last: Callable[[], None] = lambda: None) -> EdgeApp:
    """The application over a gateway that is not started yet; the server's lifespan starts and stops it."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        try:
            await gateway.start()
        except Exception as error:
            # Said here, because the process ends before the lines that the server logs about it are written.
            if isinstance(error, AspendosError):
                _log.error("not started", reason=error.message, code=error.code)
            else:
                _log.error("not started", exc_info=error)
            last()
            raise
        try:
            yield
        finally:
            await gateway.stop()
            last()

    provided: dict[str, Any] = {
        "admission": gateway.admission,
        "balances": gateway.balances,
        "catalogue": gateway.catalogue,
        "readiness": gateway.readiness,
        "gauges": gateway.gauges,
        "organisations": gateway.organisations,
        "teams": gateway.teams,
        "members": gateway.members,
        "users": gateway.users,
        "audit": gateway.audit,
        "keys": gateway.keys,
        "provider_keys": gateway.provider_keys,
        "reconciliation": gateway.reconciliation,
        "drift_watch": gateway.drift_watch,
        "own_keys": gateway.own_keys,
        "logins": gateway.door.logins,
        "tokens": gateway.door.tokens,
        "access": gateway.door.access,
        "usage": gateway.usage,
        "credits": gateway.credits,
        "reconciler": gateway.reconciler,
        "announce": gateway.announce_reload,
        "shelf": gateway.shelf,
        "cabinet": gateway.batches.cabinet,
        "batches": gateway.batches.intake,
        "budgets": gateway.budgets.service,
        "alert_targets": gateway.budgets.targets,
        "payments": gateway.payments,
        "invoices": gateway.invoices,
        "settings": settings,
        "database": gateway.database,
    }
    app = Litestar(
        route_handlers=[
            ModelController,
            GeminiModelController,
            AccountController,
            ResponseController,
            FileController,
            BatchController,
            HealthController,
            metrics,
            receive_webhook,
            LoginController,
            key_set,
            Router(
                "/",
                route_handlers=[
                    OrganisationController,
                    TeamController,
                    UserController,
                    KeyController,
                    AuditController,
                    ProviderKeyController,
                    OwnProviderKeyController,
                    ReconciliationController,
                    UsageController,
                    ReportController,
                    CreditController,
                    ConfigController,
                    InvitationController,
                    BillingController,
                    InvoiceController,
                    TierController,
                    BudgetController,
                    AlertTargetController,
                ],
                guards=[admin_guard],
                before_request=exact_body,
            ),
        ],
        lifespan=[lifespan],
        dependencies={name: _given(value) for name, value in provided.items()}
        | {"caller": Provide(provide_caller, sync_to_thread=False)},
        exception_handlers={
            AspendosError: _ours,
            HTTPException: _litestars,
            Exception: _nobodys,
        },
        openapi_config=OpenAPIConfig(
            title="aspendos",
            version=VERSION,
            description="OpenAI-compatible LLM gateway.",
            use_handler_docstrings=True,
            render_plugins=[CompleteSchema()],
            openapi_router=Router(
                "/schema", route_handlers=[], include_in_schema=False, after_request=_no_page
            ),
        ),
        logging_config=None,
        before_send=[_naming(gateway.new_id)],
    )
    check_permissions(app)
    app.state.settings = settings
    app.state.tokens = gateway.door.tokens
    app.state.new_id = gateway.new_id
    app.state.admission = gateway.admission
    config = EdgeConfig(
        routes={
            (method, path): _hot(gateway.pipeline, dialect)
            for path, dialect in HOT.items()
            for method in _METHODS
        },
        find=gemini_finder(gateway.pipeline.serve),
        render_error=lambda error, request_id, path: render_error(
            error, request_id or gateway.new_id(), path
        ),
        max_body=settings.max_body,
        roomy={b"/v1/files": Room(settings.max_file + _FORM_BYTES, _UPLOAD_SECONDS)},
        max_headers=settings.max_headers,
        max_header_bytes=settings.max_header_bytes,
        header_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
        keepalive_timeout=settings.keepalive_timeout,
        leaving=gateway.leave,
    )
    return EdgeApp(HeadAsGet(cast(AsgiApp, app)), config)


def _given(value: object) -> Provide:
    """A dependency that is simply there."""
    return Provide(lambda: value, sync_to_thread=False)


def _hot(pipeline: Pipeline, dialect: Dialect) -> Handler:
    # No coroutine around the pipeline's own: each is gone through again at every wait of a request.
    return lambda edge: pipeline.serve(edge, dialect)


def _answer(request: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
    name = _request_id(request)
    # Not the path: somebody may have put a prompt or a key there.
    _log.info("refused", request_id=name, method=request.method, status=error.http_status, error=error.code)
    status, headers, body = render_error(error, name, request.url.path, request.headers)
    return Response(
        body,
        status_code=status,
        headers={key.decode(): value.decode("latin-1") for key, value in headers if key != b"content-type"},
        media_type="application/json",
    )


def _naming(new_id: Callable[[], str]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Gives every answer a request id: the one the audit log and the error named, where there is one."""

    async def name(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            if not any(header == b"x-request-id" for header, _ in headers):
                caller: Caller | None = scope["state"].get("caller")
                known = caller.request_id if caller is not None else None
                message["headers"] = [*headers, (b"x-request-id", (known or new_id()).encode())]

    return name


def _request_id(request: Request[Any, Any, Any]) -> str:
    caller: Caller | None = request.state.get("caller")
    known = caller.request_id if caller is not None else None
    return known or request.app.state.new_id()


def _ours(request: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
    return _answer(request, error)


def _litestars(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals in our words."""
    if isinstance(error, NotFoundException):
        found: AspendosError = nothing_at(request.url.path, family_of(request.url.path, request.headers))
    elif isinstance(error, MethodNotAllowedException):
        found = _wrong_method(request, error)
    elif isinstance(error, ValidationException):
        found = _invalid(error)
    elif error.status_code < 500:
        found = BadRequest(error.detail, status=error.status_code)
    else:
        found = Internal("The gateway failed; the operator's log has the details.")
        _log.error("request failed", path=request.url.path, error=type(error).__name__)
    return _answer(request, found)


def _wrong_method(request: Request[Any, Any, Any], error: MethodNotAllowedException) -> AspendosError:
    said = next((text for name, text in (error.headers or {}).items() if name.lower() == "allow"), None)
    methods = set(said.split(", ")) if said else set[str]()
    if "GET" in methods:
        methods.add("HEAD")
    allow = ", ".join(sorted(methods)) or None
    takes = f": it takes {allow}" if allow else ""
    asked = cast(dict[str, Any], request.scope).get(ASKED, request.method)
    return MethodNotAllowed(f"{request.url.path} does not take {asked}{takes}.", allow=allow)


def _no_page(response: Response[Any]) -> Response[Any]:
    """Litestar answers what it has no page for with a page of its own."""
    if response.status_code == HTTP_404_NOT_FOUND:
        raise NotFoundException
    return response


def _invalid(error: ValidationException) -> AspendosError:
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else None
    if isinstance(first, dict) and "message" in first:
        param = cast(dict[str, Any], first).get("key")
        missing = _MISSING.match(str(cast(dict[str, Any], first)["message"]))
        if missing is not None:
            name = missing[1] if param in (None, "data") else f"{param}.{missing[1]}"
            return InvalidField(f"Missing required field `{name}`.", param=name, code="missing_field")
        where = f"Invalid value for `{param}`: " if param else ""
        return InvalidField(f"{where}{first['message']}", param=param if isinstance(param, str) else None)
    return InvalidField(error.detail)


def _nobodys(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("request failed", path=request.url.path, exc_info=error)
    return _answer(request, Internal("The gateway failed; the operator's log has the details."))
