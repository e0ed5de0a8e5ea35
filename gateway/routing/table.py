"""The routing table: what can be asked for, made ready from one catalogue. Replaced whole on reload."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from gateway.routing.plan import least_loaded, weighted_order
from inference.credentials import Credential
from inference.deployment import Deployment, deployments
from inference.fleet.load import LoadTable
from inference.ir.cards import Catalog, Model
from inference.ir.need import Need
from inference.wire import ShapesByTool


class OwnKey(Credential, Protocol):
    """A tenant's key; `fallback` allows the operator's to be used, and billed, where it fails."""

    @property
    def fallback(self) -> bool: ...


KeyFor = Callable[[str], OwnKey | None]
"""The caller's own key for the provider of that name."""


class Route:
    """One model and the deployments behind it, in groups of one target each."""

    __slots__ = ("_groups", "_lanes", "_locked", "_only", "_shaped", "_spoken", "_turn", "_weights", "model")

    def __init__(self, model: Model, loads: LoadTable) -> None:
        self.model = model
        self._groups = tuple(deployments(target, loads) for target in model.targets)
        self._locked = tuple(deployments(target, loads) for target in model.locked_targets)
        self._weights = tuple(target.weight for target in model.targets)
        every = [deployment for group in self._groups for deployment in group]
        self._only = every if len(every) == 1 and self._weights[0] > 0 else None
        self._turn = 0
        locked = [deployment for group in self._locked for deployment in group]
        every = [*every, *locked]
        self._lanes = [frozenset(deployment.lanes) for deployment in every]
        self._spoken = frozenset[str].intersection(*self._lanes) if every else frozenset[str]()
        self._shaped = all(isinstance(deployment.wire.chat, ShapesByTool) for deployment in every)

    def speaks(self, route: str) -> bool:
        """Whether every deployment has a lane for a route, so that nothing will have to be translated."""
        return route in self._spoken

    def passes(self, route: str) -> bool:
        """Whether any deployment has one."""
        return any(route in lanes for lanes in self._lanes)

    def needed(self, needs: Iterable[Need], route: str) -> Iterator[Need]:
        """What of these has to be the model's own: not what a translation of the route brings about in another way."""
        translated = not self.passes(route)
        shaped = translated and self._shaped and "tools" in self.model.capabilities
        for need in needs:
            if not (translated and need.native) and not (shaped and need.capability == "json_schema"):
                yield need

    def attempts(self, draw: Callable[[], float]) -> list[Deployment]:
        """Deployments in the order to try them: targets by weight, a target's workers by load."""
        if self._only is not None:
            return self._only
        return self._order(self._groups, self._weights, draw)

    def attempts_with(self, draw: Callable[[], float], key_for: KeyFor) -> list[Deployment]:
        """The same for a caller with keys of its own: those come first, and open what only they can.

        Where a key is used, the operator's follow only if it allows that. Empty where nothing can be tried.
        """
        weights = self._weights + tuple(target.weight for target in self.model.locked_targets)
        order = self._order(self._groups + self._locked, weights, draw)
        keys = {name: key_for(name) for name in {deployment.provider.name for deployment in order}}
        own = [
            deployment.keyed(key)
            for deployment in order
            if (key := keys[deployment.provider.name]) is not None
        ]
        if own and not all(key.fallback for key in keys.values() if key is not None):
            return own
        return own + [deployment for deployment in order if deployment.provider.off is None]

    def only_own(self, key_for: KeyFor) -> bool:
        """Whether every attempt for a caller with these keys is paid by a key of the caller's own."""
        names = {target.provider.name for target in (*self.model.targets, *self.model.locked_targets)}
        keys = [key for name in names if (key := key_for(name)) is not None]
        return bool(keys) and not (self.model.targets and all(key.fallback for key in keys))

    def usable(self, key_for: KeyFor | None) -> bool:
        """Whether there is anything to try, for a caller with these keys of its own."""
        if self.model.targets:
            return True
        locked = {target.provider.name for target in self.model.locked_targets}
        return key_for is not None and any(key_for(name) is not None for name in locked)

    def _order(
        self, groups: Sequence[Sequence[Deployment]], weights: Sequence[int], draw: Callable[[], float]
    ) -> list[Deployment]:
        self._turn += 1
        order: list[Deployment] = []
        for index in weighted_order(weights, draw):
            group = groups[index]
            loads = [deployment.load.in_flight for deployment in group]
            order += [group[place] for place in least_loaded(loads, self._turn)]
        return order


class RoutingTable:
    """Every name a client may ask for."""

    def __init__(self, catalog: Catalog, loads: LoadTable) -> None:
        self.catalog = catalog
        routes = {id(model): Route(model, loads) for model in catalog.models.values()}
        self.routes = {name: routes[id(model)] for name, model in catalog.models.items()}
