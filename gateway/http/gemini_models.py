"""GET /v1beta/models: the models a key may use, in Google's form. (https://ai.google.dev/api/models)"""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Struct

from gateway.admission import Admission, may_use, unknown_model
from gateway.catalogue import LiveCatalogue
from gateway.http.models import principal_of, usable
from gateway.provider_keys import ProviderKeys
from inference.ir.cards import Kind, Model
from inference.ir.errors import ModelNotFound
from policies.tiers import tier_named

_METHODS = {
    Kind.CHAT: ["generateContent", "streamGenerateContent", "countTokens"],
}


class GeminiModel(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A model as Google's SDKs read it; limits in tokens."""

    name: str
    display_name: str
    description: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str]


class GeminiModelList(Struct, frozen=True, kw_only=True):
    """Google's list; all on one page."""

    models: list[GeminiModel]


class GeminiModelController(Controller):
    """The same as /v1/models says, in other words."""

    path = "/v1beta/models"
    tags = ("Gemini",)

    @get("/", summary="List the models this key may use, in Google's form", operation_id="ListGeminiModels")
    async def list_models(
        self,
        request: Request[Any, Any, Any],
        *,
        admission: NamedDependency[Admission],
        catalogue: NamedDependency[LiveCatalogue],
        own_keys: NamedDependency[ProviderKeys],
        key: Annotated[str | None, QueryParameter(description="The key, where no header carries it.")] = None,
    ) -> GeminiModelList:
        principal = await principal_of(request, admission, key)
        tier = tier_named(principal.tier, catalogue.catalog.tiers)
        return GeminiModelList(
            models=[
                _object(name, route.model)
                for name, route in sorted(catalogue.table.routes.items())
                if may_use(principal, name, route.model.name) and usable(route, own_keys, principal, tier)
            ]
        )

    @get(
        "/{model_id:path}",
        summary="One model this key may use, in Google's form",
        operation_id="RetrieveGeminiModel",
    )
    async def retrieve_model(
        self,
        request: Request[Any, Any, Any],
        *,
        admission: NamedDependency[Admission],
        catalogue: NamedDependency[LiveCatalogue],
        own_keys: NamedDependency[ProviderKeys],
        model_id: Annotated[str, PathParameter(description="The model's name, or an alias.")],
        key: Annotated[str | None, QueryParameter(description="The key, where no header carries it.")] = None,
    ) -> GeminiModel:
        principal = await principal_of(request, admission, key)
        name = model_id.removeprefix("/")
        route = catalogue.table.routes.get(name)
        tier = tier_named(principal.tier, catalogue.catalog.tiers)
        allowed = route is not None and may_use(principal, name, route.model.name)
        if route is None or not allowed or not usable(route, own_keys, principal, tier):
            raise ModelNotFound(unknown_model(catalogue.table, principal, name), param="model")
        return _object(name, route.model)


def _object(name: str, model: Model) -> GeminiModel:
    return GeminiModel(
        name=f"models/{name}",
        display_name=name,
        description=model.description,
        input_token_limit=model.context_window,
        output_token_limit=model.max_output,
        supported_generation_methods=_METHODS.get(model.kind, []),
    )
