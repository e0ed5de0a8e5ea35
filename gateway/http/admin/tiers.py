"""/admin/v1/tiers: the plans of the catalogue in force. They are changed in the file, not here."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from gateway.catalogue import LiveCatalogue
from gateway.tier_view import TierView, tier_view
from inference.ir.errors import NotFound
from policies.roles import Permission

READ = {"permission": Permission.MODELS_READ}
Name = Annotated[str, PathParameter(description="The tier's name.")]


class TierController(Controller):
    """Tiers, seen. `config/models.yaml` holds them, and a reload puts changes in force at once."""

    path = "/admin/v1/tiers"
    tags = ("Management",)

    @get("/", summary="Every tier", operation_id="listTiers", opt=READ)
    async def list_tiers(self, catalogue: NamedDependency[LiveCatalogue]) -> list[TierView]:
        """In the order of the file: what each includes, its limits, credits and price."""
        catalog = catalogue.catalog
        return [tier_view(tier, catalog) for tier in catalog.tiers.values()]

    @get("/{name:str}", summary="One tier", operation_id="getTier", opt=READ)
    async def get_tier(self, catalogue: NamedDependency[LiveCatalogue], name: Name) -> TierView:
        """404 names the tiers there are."""
        catalog = catalogue.catalog
        tier = catalog.tiers.get(name)
        if tier is None:
            there = ", ".join(catalog.tiers) or "none"
            raise NotFound(f"There is no tier {name[:64]!r}; the catalogue has {there}.", param="name")
        return tier_view(tier, catalog)
