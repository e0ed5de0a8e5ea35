"""GET /v1/models: the models this key may use now, in OpenAI's form with a few fields of ours."""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Struct

from billing.pricing import usd
from gateway.admission import Admission, may_use, unknown_model
from gateway.catalogue import LiveCatalogue
from gateway.provider_keys import ProviderKeys
from gateway.routing.table import Route
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import ModelNotFound
from inference.ir.tiers import Tier
from policies.api_keys import Principal
from policies.tiers import includes, tier_named

_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")


class Pricing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """USD as decimal text: for a million tokens or characters, one picture or search, an hour of audio.

    What is left out costs as much as the whole it is part of, or is not what the model is sold by.
    """

    input: str
    output: str
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    reasoning: str | None = None
    audio_input: str | None = None
    audio_output: str | None = None
    image_input: str | None = None
    image_output: str | None = None
    per_image: str | None = None
    per_hour: str | None = None
    per_million_characters: str | None = None
    per_search: str | None = None


class ModelObject(Struct, frozen=True, kw_only=True):
    """OpenAI's model object, and what a client may want to know beside it."""

    id: str
    created: int = 0
    object: str = "model"
    owned_by: str
    kind: Kind
    context_window: int | None = None
    max_output: int | None = None
    capabilities: list[str] = []
    alias_of: str | None = None
    pricing: Pricing
    description: str | None = None


class ModelList(Struct, frozen=True, kw_only=True):
    """OpenAI's list."""

    object: str = "list"
    data: list[ModelObject]


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
    ) -> ModelList:
        principal = await principal_of(request, admission)
        routes = catalogue.table.routes
        tier = tier_named(principal.tier, catalogue.catalog.tiers)
        return ModelList(
            data=[
                _object(name, route.model)
                for name, route in sorted(routes.items())
                if may_use(principal, name, route.model.name) and usable(route, own_keys, principal, tier)
            ]
        )

    @get("/{model_id:path}", summary="One model this key may use")
    async def retrieve_model(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        catalogue: NamedDependency[LiveCatalogue],
        own_keys: NamedDependency[ProviderKeys],
        model_id: Annotated[str, PathParameter(description="The model's name, or an alias.")],
    ) -> ModelObject:
        principal = await principal_of(request, admission)
        name = model_id.removeprefix("/")
        route = catalogue.table.routes.get(name)
        allowed = route is not None and may_use(principal, name, route.model.name)
        tier = tier_named(principal.tier, catalogue.catalog.tiers)
        if route is None or not allowed or not usable(route, own_keys, principal, tier):
            raise ModelNotFound(unknown_model(catalogue.table, principal, name), param="model")
        return _object(name, route.model)


async def principal_of(
    request: ASGIConnection[Any, Any, Any, Any], admission: Admission, key: str | None = None
) -> Principal:
    """Who asks, by the key in any header an SDK puts it in, or by `key`. Raises Unauthenticated."""
    header = request.headers.get("authorization")
    if header is None:
        key = next((request.headers[name] for name in _KEY_HEADERS if name in request.headers), key)
        header = None if key is None else f"Bearer {key}"
    return await admission.principal(header.encode("latin-1", "replace") if header is not None else None)


def usable(route: Route, own_keys: ProviderKeys, principal: Principal, tier: Tier | None) -> bool:
    """Whether the tier includes it, and it can be reached; a key of the caller's own opens what the operator
    has none for."""
    if not includes(tier, route.model):
        return False
    ids = (principal.org_id, principal.team_id, principal.user_id)
    own = own_keys.for_caller(*ids, route.model.name) if tier is None or tier.byok else None
    return route.usable(own)


def _object(name: str, model: Model) -> ModelObject:
    return ModelObject(
        id=name,
        owned_by=(model.targets or model.locked_targets)[0].provider.name,
        kind=model.kind,
        context_window=model.context_window,
        max_output=model.max_output,
        capabilities=sorted(model.capabilities),
        alias_of=model.name if name != model.name else None,
        pricing=_pricing(model.price),
        description=model.description,
    )


def _pricing(price: Price) -> Pricing:
    figures = {name: getattr(price, name) for name in Pricing.__struct_fields__}
    said = {name: figure for name, figure in figures.items() if figure or not name.startswith("per_")}
    return Pricing(**{name: usd(figure) for name, figure in said.items() if figure is not None})
