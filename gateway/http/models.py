"""GET /v1/models: the models this key may use now, in the form of whose SDK asks: OpenAI's with a few fields of ours,
Anthropic's or Google's. Their SDKs ask for one and the same path, and are told by their headers."""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import PathParameter

from gateway.admission import Admission
from gateway.catalogue import LiveCatalogue
from gateway.http.account import Callers
from gateway.http.errors import family_of
from gateway.http.model_objects import (
    AnthropicModel,
    AnthropicModelList,
    GeminiModel,
    GeminiModelList,
    ModelList,
    ModelObject,
    anthropic_list,
    anthropic_model,
    gemini_model,
    openai_model,
)
from gateway.provider_keys import ProviderKeys
from gateway.usable_models import may_use, unknown_model, usable, usable_names
from inference.ir.cards import Model
from inference.ir.content import Family
from inference.ir.errors import ModelNotFound
from policies.api_keys import Principal
from policies.tiers import tier_named

_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")


class ModelController(Controller):
    """Both routes ask the same question: is it there, is it on, may this key use it?"""

    path = "/v1/models"
    tags = ("OpenAI",)

    @get("/", summary="List the models this key may use")
    async def list_models(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        catalogue: NamedDependency[LiveCatalogue],
        own_keys: NamedDependency[ProviderKeys],
    ) -> ModelList | AnthropicModelList | GeminiModelList:
        """In OpenAI's form; in Anthropic's where a header `anthropic-version` is sent, in Google's where one of its
        SDKs' headers is (`x-goog-api-key`, `x-goog-api-client`)."""
        principal = await principal_of(request, admission)
        found = usable_models(catalogue, own_keys, principal)
        match family_of(request.url.path, request.headers):
            case Family.ANTHROPIC:
                return anthropic_list([anthropic_model(name, model) for name, model in found])
            case Family.GEMINI:
                return GeminiModelList(models=[gemini_model(name, model) for name, model in found])
            case _:
                return ModelList(data=[openai_model(name, model) for name, model in found])

    @get("/{model_id:path}", summary="One model this key may use")
    async def retrieve_model(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        catalogue: NamedDependency[LiveCatalogue],
        own_keys: NamedDependency[ProviderKeys],
        model_id: Annotated[str, PathParameter(description="The model's name, or an alias.")],
    ) -> ModelObject | AnthropicModel | GeminiModel:
        """In the same form as the list."""
        principal = await principal_of(request, admission)
        name = model_id.removeprefix("/")
        model = usable_model(catalogue, own_keys, principal, name)
        match family_of(request.url.path, request.headers):
            case Family.ANTHROPIC:
                return anthropic_model(name, model)
            case Family.GEMINI:
                return gemini_model(name, model)
            case _:
                return openai_model(name, model)


async def principal_of(
    request: ASGIConnection[Any, Any, Any, Any], callers: Callers, key: str | None = None
) -> Principal:
    """Who asks, by the key in any header an SDK puts it in, or by `key`. Raises Unauthenticated."""
    header = request.headers.get("authorization")
    if header is None:
        key = next((request.headers[name] for name in _KEY_HEADERS if name in request.headers), key)
        header = None if key is None else f"Bearer {key}"
    return await callers.principal(header.encode("latin-1", "replace") if header is not None else None)


def usable_models(
    catalogue: LiveCatalogue, own_keys: ProviderKeys, principal: Principal
) -> list[tuple[str, Model]]:
    """Every name this caller may use now, with its model, in the order of the names."""
    table = catalogue.table
    return [(name, table.routes[name].model) for name in sorted(usable_names(table, principal, own_keys))]


def usable_model(catalogue: LiveCatalogue, own_keys: ProviderKeys, principal: Principal, name: str) -> Model:
    """The model of one name. Raises ModelNotFound for what this caller may not use, as for what is not there."""
    route = catalogue.table.routes.get(name)
    tier = tier_named(principal.tier, catalogue.catalog.tiers)
    allowed = route is not None and may_use(principal, name, route.model.name)
    if route is None or not allowed or not usable(route, own_keys, principal, tier):
        raise ModelNotFound(unknown_model(catalogue.table, principal, name, own_keys), param="model")
    return route.model
