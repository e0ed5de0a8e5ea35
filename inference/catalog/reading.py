"""config/models.yaml into frozen cards, or every reason why not; opens no connection and keeps no state.

Text and environment come in, a Catalog goes out: the same function serves the start, the reload and
`aspendos check-config`. A provider that cannot be used now for want of a key or an address is off with a reason and
costs its models a target; it is never an error, so one file serves every machine.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from inference.catalog.file import CatalogFile
from inference.catalog.findings import Findings
from inference.catalog.models import ModelResolver
from inference.catalog.providers import ProviderResolver
from inference.catalog.tiers import TierResolver
from inference.ir.cards import Catalog
from inference.yaml_source import MAX_CHARACTERS, Problem, Report, Spot, read_tree
from inference.yaml_struct import Reader

_READABLE = "a readable file (--config and ASPENDOS_CONFIG say which)"


class CatalogError(Exception):
    """The catalogue cannot be used. `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """At least one problem."""
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))


def load_catalog(text: str, *, source: str, environ: Mapping[str, str]) -> Catalog:
    """Resolve a catalogue. `source` names the text in messages.

    Raises CatalogError with every problem found, and nothing else.
    """
    report = Report(source)
    tree = read_tree(text, report)
    if tree is None:
        raise CatalogError(report.problems)
    reader = Reader(report)
    file = reader.read(CatalogFile, tree)
    catalog = _resolved(
        file, Findings(report, reader), environ, hashlib.sha256(text.encode()).hexdigest()[:12]
    )
    if report.problems:
        raise CatalogError(report.problems)
    return catalog


def read_catalog(path: Path, environ: Mapping[str, str]) -> Catalog:
    """`load_catalog` of a file. Raises CatalogError, also for one that cannot be read or is not UTF-8."""
    report = Report(str(path))
    data = b""
    try:
        with path.open("rb") as file:
            # Four bytes are the most a character takes; what is longer than that is too long in any case.
            data = file.read(4 * MAX_CHARACTERS + 1)
        text = data.decode("utf-8")
    except OSError as error:
        report.add(Spot(1, 1), (), found=error.strerror or type(error).__name__, expected=_READABLE)
    except UnicodeDecodeError as error:
        spot = Spot(data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start))
        report.add(spot, (), found=f"the byte 0x{data[error.start]:02x}", expected="text in UTF-8")
    else:
        return load_catalog(text, source=str(path), environ=environ)
    raise CatalogError(report.problems)


def _resolved(file: CatalogFile, findings: Findings, environ: Mapping[str, str], version: str) -> Catalog:
    providers = ProviderResolver(findings, environ)
    cards = {name: providers.provider(name, entry) for name, entry in file.providers.items()}
    models = ModelResolver(findings, cards)
    names = models.by_every_name({name: models.model(name, entry) for name, entry in file.models.items()})
    tiers = TierResolver(findings, entries=file.models, models=names)
    return Catalog(
        version=version,
        models=names,
        providers=cards,
        tiers={name: tiers.tier(name, entry) for name, entry in file.tiers.items()},
        warnings=findings.warnings(),
    )
