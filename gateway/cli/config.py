"""`aspendos check-config`: a catalogue's faults, or what it turns on; changes nothing, shows no key."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.tier_view import tier_view, when_empty_text
from inference.catalog import CatalogError, read_catalog
from inference.ir.cards import Catalog, Model

DEFAULT_PATH = Path("config/models.yaml")


def check_config(
    path: Annotated[Path | None, Parameter(help="The catalogue; by default $ASPENDOS_CONFIG.")] = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(help="The same, named as `aspendos serve` has it.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")] = False,
) -> int:
    """Check the catalogue of providers, models and tiers against this environment.

    Exit code 1 and one line per problem (file:line: field: message), or 0 and what is on or off, and why.
    """
    if path is not None and config is not None:
        print("Name the catalogue once: by --config or without it.", file=sys.stderr)
        return 1
    file = path or config or Path(os.environ.get("ASPENDOS_CONFIG") or DEFAULT_PATH)
    code, text = verdict(file, os.environ, as_json=as_json)
    print(text)
    return code


def verdict(path: Path, environ: Mapping[str, str], *, as_json: bool) -> tuple[int, str]:
    """Exit code and text of a check."""
    try:
        catalog = read_catalog(path, environ)
    except CatalogError as error:
        if as_json:
            return 1, _json({"ok": False, "file": str(path), "problems": _problems(error)})
        return 1, str(error)
    if as_json:
        return 0, _json({"ok": True, "file": str(path)} | _summary(catalog))
    return 0, "\n".join(_lines(path, catalog))


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _problems(error: CatalogError) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(problem) | {"message": problem.message} for problem in error.problems]


def _models(catalog: Catalog) -> list[Model]:
    """Each model once, although the catalogue lists it under every alias."""
    return [model for name, model in catalog.models.items() if name == model.name]


def _summary(catalog: Catalog) -> dict[str, Any]:
    providers = list(catalog.providers.values())
    models = _models(catalog)
    return {
        "version": catalog.version,
        "providers": [{"name": p.name, "wire": p.wire, "on": p.off is None, "off": p.off} for p in providers],
        "models": [
            {"name": m.name, "kind": m.kind, "aliases": m.aliases, "on": m.off is None, "off": m.off}
            for m in models
        ],
        "routable": sum(m.off is None for m in models),
        "tiers": [tier_view(tier, catalog) for tier in catalog.tiers.values()],
        "warnings": catalog.warnings,
    }


def _lines(path: Path, catalog: Catalog) -> Iterable[str]:
    providers = list(catalog.providers.values())
    models = _models(catalog)
    served = Counter(name for model in models for name in {target.provider.name for target in model.targets})
    on = sum(p.off is None for p in providers)
    routable = sum(m.off is None for m in models)
    yield f"{path}: {on} of {len(providers)} providers on, {routable} of {len(models)} models routable."
    yield ""
    rows = [(p.name, p.wire, str(served[p.name]), f"off: {p.off}" if p.off else "on") for p in providers]
    yield from _table([("PROVIDER", "WIRE", "MODELS", "STATE"), *rows])
    unexplained = [(m.name, f"off: {m.off}") for m in models if m.off and _beside_providers(m.off)]
    if unexplained:
        yield ""
        yield from _table([("MODEL", "STATE"), *unexplained])
    if catalog.tiers:
        yield ""
        yield from _table(
            [("TIER", "MODELS", "ON", "CREDITS/MONTH", "PRICE/MONTH", "WHEN EMPTY"), *_tiers(catalog)]
        )
    if catalog.warnings:
        yield ""
        yield from (f"warning: {warning}" for warning in catalog.warnings)


def _beside_providers(off: str) -> bool:
    """Whether a model is off for more than its providers' being off, which their own lines tell."""
    return "its weight is 0" in off or off == "no targets"


def _tiers(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    on = {model.name for model in _models(catalog) if model.off is None}
    for tier in catalog.tiers.values():
        view = tier_view(tier, catalog)
        yield (
            tier.name,
            "all" if view.every_model else str(len(view.models)),
            str(len(on.intersection(view.models))),
            str(tier.credits_per_month),
            ", ".join(f"{amount} {currency}" for currency, amount in view.price.items()) or "-",
            when_empty_text(tier.when_empty),
        )


def _table(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
