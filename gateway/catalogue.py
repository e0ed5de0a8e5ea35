"""The live catalogue: config/models.yaml as it is in force now. A bad file never replaces a good one."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct

from gateway.metrics import Metrics
from gateway.routing.table import RoutingTable
from inference.catalog import CatalogError, read_catalog
from inference.fleet.load import LoadTable
from inference.ir.cards import Catalog
from inference.ir.errors import CatalogueRefused

_log = structlog.stdlib.get_logger("catalogue")


class Reloaded(Struct, frozen=True, kw_only=True):
    """The catalogue that is in force now."""

    version: str
    routable: int
    warnings: tuple[str, ...] = ()


class LiveCatalogue:
    """Holds the routing table; requests under way keep the one they began with."""

    def __init__(self, path: Path, environ: Mapping[str, str], metrics: Metrics) -> None:
        """Reads the file. Raises CatalogError, naming every problem."""
        self._path = path
        self._environ = environ
        self._metrics = metrics
        self._loads = LoadTable()
        self.last_error: str | None = None
        self.table = RoutingTable(read_catalog(path, environ), self._loads)

    @property
    def catalog(self) -> Catalog:
        """The cards in force."""
        return self.table.catalog

    def reload(self, *, counted: bool = True) -> Reloaded:
        """Read the file again. The table is swapped in one step, or not at all.

        Uncounted where it is part of a reload that another process counts.
        Raises CatalogueRefused, which names every mistake; the catalogue before stays in force.
        """
        try:
            catalog = read_catalog(self._path, self._environ)
            table = RoutingTable(catalog, self._loads)
        except CatalogError as error:
            self.last_error = str(error)
            self._count("failed", counted)
            problems = tuple(str(problem) for problem in error.problems)
            _log.error("catalogue not reloaded, the old one stays", problems=problems)
            raise CatalogueRefused(
                f"The file was not taken in, the catalogue before it stays:\n{error}"
            ) from None
        self.table = table
        self.last_error = None
        self._count("ok", counted)
        _log.info("catalogue reloaded", version=catalog.version, routable=self.routable())
        return Reloaded(version=catalog.version, routable=self.routable(), warnings=catalog.warnings)

    def reload_quietly(self, *, counted: bool = True) -> None:
        """The same for a signal, to which nobody can answer: the log has the mistakes."""
        with suppress(CatalogueRefused):
            self.reload(counted=counted)

    def _count(self, result: str, counted: bool) -> None:
        if counted:
            self._metrics.reloads.labels(result).inc()

    def routable(self) -> int:
        """How many models can be used now, aliases not counted."""
        return len({model.name for model in self.catalog.models.values() if model.targets})
