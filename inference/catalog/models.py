"""The models of config/models.yaml, from what is written to what they are: where each can be had, and its price."""

import importlib
from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from inference.catalog.findings import Findings
from inference.catalog.model_entry import ModelEntry, TargetEntry
from inference.catalog.prices import Fault, cost_fault, dearer, price_fault, price_of
from inference.ir.cards import WHOLE, Kind, Model, Price, Provider, Target
from inference.wire import LanesByModel
from inference.yaml_source import Trail, quoted, render

_OF_SEVERAL = ("bedrock", "vertex")
"""Wire formats by which models of several makers are had, each maker's in its own way."""
_LIMIT, _DEMANDING = "max_tokens", "messages"
"""A field that `drop` may name, and the route whose requests are none without it."""


class ModelResolver:
    """One pass over the models of one file."""

    def __init__(self, findings: Findings, providers: Mapping[str, Provider]) -> None:
        """`providers` are the cards of those the models speak of."""
        self._findings = findings
        self._providers = providers

    def model(self, name: str, entry: ModelEntry) -> Model:
        """Its card, its mistakes reported; off without a target that can be used."""
        path: Trail = ("models", name)
        price = self._price(path, entry)
        targets: list[Target] = []
        locked: list[Target] = []
        off: list[str] = []
        seen: set[tuple[str, str]] = set()
        for index, given in enumerate(entry.targets):
            here = (*path, "targets", index)
            provider = self._providers.get(given.provider)
            if provider is None:
                known = list(self._providers)
                self._findings.wrong(
                    (*here, "provider"),
                    found=quoted(given.provider),
                    expected="a name from `providers`",
                    hint=self._findings.hint(given.provider, known),
                )
                continue
            if (given.provider, given.model) in seen:
                self._findings.wrong(
                    here, found=f"{given.provider} {quoted(given.model)} again", expected="each target once"
                )
            seen.add((given.provider, given.model))
            cost = self._cost(here, given, entry.kind, price)
            target = Target(
                provider=provider,
                model=given.model,
                weight=given.weight,
                cost=cost,
                cache_scope=None if entry.cache_scope is UNSET else entry.cache_scope,
                family=self._family(here, given, provider),
            )
            if _LIMIT in entry.drop and _demands_limit(target):
                self._findings.warn(
                    (*path, "drop"),
                    f"{render((*path, 'drop'))} leaves `{_LIMIT}` in requests for Messages: {quoted(given.provider)} "
                    "is asked in that format, which demands it",
                )
            if provider.off is None and given.weight > 0:
                targets.append(target)
            else:
                if provider.lacks_key and given.weight > 0:
                    locked.append(target)
                off.append(f"{given.provider}: {provider.off or 'its weight is 0'}")
        return Model(
            name=name,
            kind=entry.kind,
            price=price,
            batch_price=WHOLE if isinstance(entry.batch_price, UnsetType) else int(entry.batch_price),
            free=entry.free,
            targets=tuple(targets),
            locked_targets=tuple(locked),
            aliases=entry.aliases,
            capabilities=frozenset(entry.capabilities or ()),
            declares=not isinstance(entry.capabilities, UnsetType),
            drop=frozenset(entry.drop),
            context_window=entry.context_window or None,
            max_output=entry.max_output or None,
            description=entry.description or None,
            disconnect=None if entry.disconnect is UNSET else entry.disconnect,
            prompt_cache=entry.prompt_cache,
            off=None if targets else "; ".join(dict.fromkeys(off)) or "no targets",
        )

    def _family(self, path: Trail, given: TargetEntry, provider: Provider) -> str | None:
        """Whose the model is, where its row says so and its provider has models of several makers."""
        if isinstance(given.family, UnsetType):
            return None
        if provider.wire not in _OF_SEVERAL:
            self._findings.wrong(
                (*path, "family"),
                found=f"it at a provider of wire {quoted(provider.wire)}",
                expected="wire `bedrock` or `vertex`",
            )
        return given.family

    def _price(self, path: Trail, entry: ModelEntry) -> Price:
        given = entry.price
        here = (*path, "price")
        if isinstance(given, UnsetType):
            if not entry.free:
                self._findings.wrong(here, found="nothing", expected="a price, or `free: true`")
            return price_of(None)
        fault = price_fault(entry.kind, given, free=entry.free)
        if fault is not None and not self._findings.has(here):
            self._fault(here, fault)
        return price_of(given)

    def _fault(self, path: Trail, fault: Fault) -> None:
        here = path if fault.field is None else (*path, fault.field)
        self._findings.wrong(here, found=fault.found, expected=fault.expected)

    def _cost(self, path: Trail, entry: TargetEntry, kind: Kind, price: Price) -> Price | None:
        """What a target costs the operator; one that is dearer than what clients pay is worth a word."""
        if isinstance(entry.cost, UnsetType):
            return None
        here = (*path, "cost")
        cost = price_of(entry.cost)
        fault = cost_fault(kind, entry.cost)
        if fault is not None and not self._findings.has(here):
            self._fault(here, fault)
        if dearer(cost, price) and not self._findings.touches(here):
            self._findings.warn(here, f"{render(here)} is above the price: each request loses money")
        return cost

    def by_every_name(self, models: dict[str, Model]) -> dict[str, Model]:
        """Every name a client may use; one that means two models is an error, not a matter of order."""
        names = dict(models)
        for model in models.values():
            for index, alias in enumerate(model.aliases):
                taken = names.setdefault(alias, model)
                if alias in models or taken is not model or alias in model.aliases[:index]:
                    line = self._findings.spot(("models", taken.name)).line
                    self._findings.wrong(
                        ("models", model.name, "aliases", index),
                        found=f"{quoted(alias)}, to which models.{taken.name} (line {line}) already answers",
                        expected="a name no other model has",
                    )
        return names


def _demands_limit(target: Target) -> bool:
    """Whether clients of the demanding route are passed on to a target."""
    wire = importlib.import_module(f"inference.providers.{target.provider.wire.replace('-', '_')}").WIRE
    lanes = wire.lanes_for(target.model, target.family) if isinstance(wire, LanesByModel) else wire.lanes
    return _DEMANDING in lanes
