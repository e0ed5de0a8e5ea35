"""/admin/v1/config and /admin/v1/models: what is in force, and how to have the file read again."""

from collections.abc import Callable

from litestar import Controller, get, post
from litestar.di import NamedDependency
from msgspec import Struct

from gateway.catalogue import LiveCatalogue, Reloaded
from gateway.database.engine import Database
from gateway.http.caller import Caller
from gateway.reload_log import ReloadLog
from policies.roles import Permission

OPERATE = {"permission": Permission.OPERATE}
READ = {"permission": Permission.MODELS_READ}

Announce = Callable[[], None]
"""Tells the other worker processes of this server to reload too."""


class ProviderState(Struct, frozen=True, kw_only=True):
    """A provider as the catalogue has it, its key never shown. `off` says why it cannot be used."""

    name: str
    wire: str
    addresses: list[str]
    key_from: str | None
    off: str | None


class ModelState(Struct, frozen=True, kw_only=True):
    """A model as the catalogue has it."""

    name: str
    kind: str
    free: bool
    price_version: str
    aliases: list[str]
    targets: list[str]
    off: str | None


class ConfigState(Struct, frozen=True, kw_only=True):
    """The catalogue in force. `error` is why the last reload was refused, if it was."""

    version: str
    routable: int
    warnings: list[str]
    error: str | None
    providers: list[ProviderState]


class ConfigController(Controller):
    """The catalogue, seen and reloaded."""

    path = "/admin/v1"
    tags = ("Management",)

    @get("/config", summary="The catalogue in force", opt=OPERATE)
    async def config(self, catalogue: NamedDependency[LiveCatalogue]) -> ConfigState:
        catalog = catalogue.catalog
        return ConfigState(
            version=catalog.version,
            routable=catalogue.routable(),
            warnings=list(catalog.warnings),
            error=catalogue.last_error,
            providers=[
                ProviderState(
                    name=provider.name,
                    wire=provider.wire,
                    addresses=list(provider.base_urls),
                    key_from=provider.key_env,
                    off=provider.off,
                )
                for provider in catalog.providers.values()
            ],
        )

    @get("/models", summary="Every model of the catalogue, usable or not", opt=READ)
    async def models(self, catalogue: NamedDependency[LiveCatalogue]) -> list[ModelState]:
        unique = {model.name: model for model in catalogue.catalog.models.values()}
        return [
            ModelState(
                name=model.name,
                kind=model.kind,
                free=model.free,
                price_version=model.price.version,
                aliases=list(model.aliases),
                targets=[f"{target.provider.name}:{target.model}" for target in model.targets],
                off=model.off,
            )
            for model in unique.values()
        ]

    @post("/config/reload", summary="Read the catalogue file again", status_code=200, opt=OPERATE)
    async def reload(
        self,
        catalogue: NamedDependency[LiveCatalogue],
        announce: NamedDependency[Announce],
        caller: NamedDependency[Caller],
        database: NamedDependency[Database],
    ) -> Reloaded:
        """A file with mistakes is refused with all of them, and the catalogue before it stays in force."""
        before = catalogue.catalog.version
        result = catalogue.reload()
        await ReloadLog(database).asked(caller, before, result.version)
        announce()
        return result
