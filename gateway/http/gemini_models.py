"""GET /v1beta/models: the models a key may use, in Google's form. (https://ai.google.dev/api/models)"""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from gateway.admission import Admission
from gateway.catalogue import LiveCatalogue
from gateway.http.model_objects import GeminiModel, GeminiModelList, gemini_model
from gateway.http.models import principal_of, usable_model, usable_models
from gateway.provider_keys import ProviderKeys


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
        found = usable_models(catalogue, own_keys, principal)
        return GeminiModelList(models=[gemini_model(name, model) for name, model in found])

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
        return gemini_model(name, usable_model(catalogue, own_keys, principal, name))
