"""The tiers of config/models.yaml, from what is written to what it means; knows models, not who has a tier.

A tier speaks of models in globs. They are resolved here, once, into names: against a model's name, its aliases,
and `<provider>/<name>` for each of its targets, so `local/*` is all that `local` serves, whether it is on or off.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec import UNSET, Struct

from inference.catalog.findings import Findings
from inference.catalog.model_entry import ModelEntry
from inference.catalog.tier_entry import TermsEntry, TierEntry, WhenEmptyEntry
from inference.ir.cards import Model
from inference.ir.currencies import decimals, known, minor_units
from inference.ir.tiers import REFUSE, Limits, Terms, Tier, WhenEmpty
from inference.yaml_source import Trail, quoted

SHORTEST = 64
"""Tokens of output below which `when_empty: shorten` refuses rather than answers."""


class _Names(Struct, frozen=True):
    """A model, and everything a glob may know it by."""

    model: str
    names: tuple[str, ...]


class TierResolver:
    """One pass over the tiers of one file."""

    def __init__(
        self,
        findings: Findings,
        *,
        entries: Mapping[str, ModelEntry],
        models: Mapping[str, Model],
    ) -> None:
        """`entries` are the models as written, `models` the cards by every name."""
        self._findings = findings
        self._models = models
        self._names = [
            _Names(
                name,
                (name, *entry.aliases, *(f"{target.provider}/{name}" for target in entry.targets)),
            )
            for name, entry in entries.items()
        ]

    def tier(self, name: str, entry: TierEntry) -> Tier:
        """The tier, its mistakes reported."""
        path: Trail = ("tiers", name)
        reach = self._reach(path, entry)
        return Tier(
            name=name,
            description=entry.description or None,
            models=entry.models,
            reach=reach,
            limits=_limits(entry),
            per_user=entry.per_user,
            not_included=frozenset(f for f, given in entry.features.items() if given is False),
            features={
                feature: _terms(given)
                for feature, given in entry.features.items()
                if isinstance(given, TermsEntry)
            },
            some_models={glob: _terms(given) for glob, given in entry.model_limits.items()},
            matched={glob: self._matches(glob, (*path, "model_limits", glob)) for glob in entry.model_limits},
            credits_per_month=entry.credits_per_month,
            price=self._price(path, entry),
            priority=entry.priority,
            flags=tuple(dict.fromkeys(entry.flags)),
            when_empty=self._when_empty(path, entry, reach),
            byok=entry.byok,
            disconnect=None if entry.disconnect is UNSET else entry.disconnect,
        )

    def _reach(self, path: Trail, entry: TierEntry) -> frozenset[str] | None:
        if not entry.models or "*" in entry.models:
            return None
        found: set[str] = set()
        for index, glob in enumerate(entry.models):
            found |= self._matches(glob, (*path, "models", index))
        return frozenset(found)

    def _matches(self, glob: str, path: Trail) -> frozenset[str]:
        fits = re.compile(_expression(glob)).fullmatch
        found = frozenset(one.model for one in self._names if any(map(fits, one.names)))
        if not found and not self._findings.touches(path):
            self._findings.warn(path, f"{quoted(glob)} matches no model")
        return found

    def _price(self, path: Trail, entry: TierEntry) -> dict[str, int]:
        price: dict[str, int] = {}
        for currency, amount in entry.price.items():
            here = (*path, "price", currency)
            if self._findings.touches(here):
                continue
            if decimals(currency) is None:
                self._findings.wrong(
                    here,
                    found=quoted(currency),
                    expected="a currency of ISO 4217, such as `USD`",
                    hint=self._findings.hint(currency, known()),
                )
                continue
            try:
                price[currency] = minor_units(amount, currency)
            except ValueError:
                places = decimals(currency)
                expected = (
                    f"at most {places} decimals in {currency}" if places else f"a whole number of {currency}"
                )
                self._findings.wrong(here, found=f"the number {quoted(amount)}", expected=expected)
        return price

    def _when_empty(self, path: Trail, entry: TierEntry, reach: frozenset[str] | None) -> WhenEmpty:
        given = entry.when_empty
        here = (*path, "when_empty")
        if given == "shorten":
            return WhenEmpty(shorten=SHORTEST)
        if not isinstance(given, WhenEmptyEntry) or self._findings.touches(here):
            return REFUSE
        if given.model is UNSET and given.shorten is UNSET:
            self._findings.wrong(here, found="neither", expected="`shorten: 256`, `model: name` or both")
        return WhenEmpty(
            shorten=None if given.shorten is UNSET else given.shorten,
            model=None if given.model is UNSET else self._other(here, given.model, reach),
        )

    def _other(self, path: Trail, name: str, reach: frozenset[str] | None) -> str | None:
        model = self._models.get(name)
        here = (*path, "model")
        if model is None:
            hint = self._findings.hint(name, list(self._models))
            self._findings.wrong(here, found=quoted(name), expected="a name from `models`", hint=hint)
            return None
        # It may be a slip in the model itself which hides it from the tier.
        slipped = self._findings.touches(("models", model.name))
        if reach is not None and model.name not in reach and not slipped:
            self._findings.wrong(
                here, found=f"{quoted(name)}, which it does not include", expected="a model of this tier"
            )
        return model.name


def _limits(entry: TierEntry | TermsEntry) -> Limits:
    parallel = None if entry.parallel is UNSET else entry.parallel
    return Limits(requests=entry.requests, tokens=entry.tokens, parallel=parallel)


def _terms(entry: TermsEntry) -> Terms:
    return Terms(limits=_limits(entry), per_user=entry.per_user)


def _expression(glob: str) -> str:
    """A glob as a regular expression that no name makes backtrack: the runs between stars are atomic."""
    first, *rest = (_literal(run) for run in glob.split("*"))
    if not rest:
        return first
    *middle, last = rest
    runs: Iterable[str] = (f"(?>.*?{run})" for run in middle if run)
    return f"{first}{''.join(runs)}.*{last}"


def _literal(text: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in text)
