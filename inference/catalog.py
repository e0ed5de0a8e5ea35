"""config/models.yaml into frozen cards, or every reason why not; opens no connection and keeps no state.

Text and environment come in, a Catalog goes out: the same function serves the start, the reload and
`aspendos check-config`. A provider that cannot be used now (no key, a wire format not built yet) is off with
a reason and costs its models a target; it is never an error, so one file serves every machine.
"""

import hashlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from inference import providers as wires
from inference.catalog_file import (
    CatalogFile,
    EnvRef,
    EnvUrl,
    ModelEntry,
    ProviderEntry,
    TargetEntry,
    Wire,
)
from inference.catalog_prices import Fault, cost_fault, dearer, price_fault, price_of
from inference.catalog_tiers import TierResolver
from inference.ir.cards import (
    WHOLE,
    AwsCredentials,
    Catalog,
    Kind,
    Model,
    Price,
    Provider,
    Target,
    Timeouts,
)
from inference.providers.bedrock.naming import address as bedrock_address
from inference.providers.vertex import address as vertex_address
from inference.yaml_source import (
    MAX_CHARACTERS,
    Problem,
    Report,
    Spot,
    Trail,
    quoted,
    read_tree,
    render,
)
from inference.yaml_struct import Reader

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {"connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_ADDRESS = "an http(s) address without user, query or fragment, such as `https://api.openai.com/v1`"


class CatalogError(Exception):
    """The catalogue cannot be used. `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """At least one problem."""
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))


def built_wires() -> frozenset[str]:
    """The wire formats this version speaks: the known ones that have a file in `inference/providers`."""
    files = frozenset(module.name.replace("_", "-") for module in pkgutil.iter_modules(wires.__path__))
    return files & frozenset(get_args(Wire))


def load_catalog(
    text: str, *, source: str, environ: Mapping[str, str], built: frozenset[str] | None = None
) -> Catalog:
    """Resolve a catalogue. `source` names the text in messages; `built` are the wires that can be spoken.

    Raises CatalogError with every problem found, and nothing else.
    """
    report = Report(source)
    tree = read_tree(text, report)
    if tree is None:
        raise CatalogError(report.problems)
    reader = Reader(report)
    file = reader.read(CatalogFile, tree)
    resolver = _Resolver(report, reader, environ, built_wires() if built is None else built)
    catalog = resolver.catalog(file, hashlib.sha256(text.encode()).hexdigest()[:12])
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
        report.add(Spot(1, 1), (), found=error.strerror or type(error).__name__, expected="a readable file")
    except UnicodeDecodeError as error:
        spot = Spot(data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start))
        report.add(spot, (), found=f"the byte 0x{data[error.start]:02x}", expected="text in UTF-8")
    else:
        return load_catalog(text, source=str(path), environ=environ)
    raise CatalogError(report.problems)


class _Resolver:
    """One pass over one file."""

    def __init__(
        self, report: Report, reader: Reader, environ: Mapping[str, str], built: frozenset[str]
    ) -> None:
        self._report = report
        self._reader = reader
        self._environ = environ
        self._built = built
        self._warnings = [
            (spot, f"{quoted(key)} has no effect in this version") for spot, key in reader.later
        ]

    def catalog(self, file: CatalogFile, version: str) -> Catalog:
        providers = {name: self._provider(name, entry) for name, entry in file.providers.items()}
        models = {name: self._model(name, entry, providers) for name, entry in file.models.items()}
        names = self._names(models)
        tiers = TierResolver(self._report, self._reader, self._warn, entries=file.models, models=names)
        return Catalog(
            version=version,
            models=names,
            providers=providers,
            tiers={name: tiers.tier(name, entry) for name, entry in file.tiers.items()},
            warnings=tuple(
                f"{self._report.file}:{spot.line}: {words}" for spot, words in sorted(self._warnings)
            ),
        )

    def _warn(self, spot: Spot, words: str) -> None:
        self._warnings.append((spot, words))

    def _wrong(self, path: Trail, *, found: str, expected: str, hint: str | None = None) -> None:
        """Report at a path, or at the nearest one above it that stands in the file; once per slip."""
        if self._report.touches(path):
            return
        known = path
        while known not in self._reader.spots:
            known = known[:-1]
        self._report.add(self._reader.spots[known], path, found=found, expected=expected, hint=hint)

    # ---- providers

    def _provider(self, name: str, entry: ProviderEntry) -> Provider:
        path: Trail = ("providers", name)
        off: list[str] = []
        keyless: list[str] = []
        if entry.wire not in self._built:
            off.append(f"the wire format {quoted(entry.wire)} is not built yet")
        key = self._secret(entry.key.env, keyless) if entry.key else None
        account, aws = self._account(path, entry, keyless), self._aws(path, entry, keyless)
        if not entry.tls.verify:
            spot = self._reader.spots.get((*path, "tls"), Spot(1, 1))
            self._warn(spot, f"{render(path)} accepts any certificate: anyone on the way can read along")
        addresses, headers = self._addresses(path, entry, off), self._headers(path, entry, keyless)
        return Provider(
            name=name,
            wire=entry.wire,
            base_urls=addresses,
            key=key,
            key_env=entry.key.env if entry.key else None,
            headers=headers,
            timeouts=self._timeouts(entry),
            max_connections=entry.max_connections,
            tls_verify=entry.tls.verify,
            tls_ca=entry.tls.ca or None,
            off="; ".join(dict.fromkeys([*off, *keyless])) or None,
            key_check=entry.key_check or None,
            also=entry.also,
            service_account=account,
            aws=aws,
            region=entry.region or None,
            lacks_key=not off and bool(keyless),
            account_headers=frozenset(
                header.lower() for header, given in entry.headers.items() if isinstance(given, EnvRef)
            ),
        )

    def _secret(self, env: str, off: list[str]) -> str | None:
        value = self._environ.get(env, "").strip()
        if not value:
            off.append(f"{env} is not set")
        elif not _VALUE.fullmatch(value):
            off.append(f"{env} holds characters that a header cannot carry")
        else:
            return value
        return None

    def _account(self, path: Trail, entry: ProviderEntry, off: list[str]) -> str | None:
        """A service account as the environment has it: text or a path, read when a token is needed."""
        for name in ("service_account", "project"):
            if entry.wire != "vertex" and getattr(entry, name):
                self._wrong(
                    (*path, name), found=f"it beside wire {quoted(entry.wire)}", expected="wire `vertex`"
                )
        if not entry.service_account:
            return None
        if entry.key:
            self._wrong((*path, "service_account"), found="it beside `key`", expected="one or the other")
        env = entry.service_account.env
        value = self._environ.get(env, "").strip()
        if not value:
            off.append(f"{env} is not set")
        return value or None

    def _aws(self, path: Trail, entry: ProviderEntry, off: list[str]) -> AwsCredentials | None:
        """Keys of AWS from the environment; a session token only where there is one."""
        for name in ("aws", "region"):
            if entry.wire != "bedrock" and getattr(entry, name):
                self._wrong(
                    (*path, name), found=f"it beside wire {quoted(entry.wire)}", expected="wire `bedrock`"
                )
        if not entry.aws:
            return None
        if entry.key:
            self._wrong((*path, "aws"), found="it beside `key`", expected="one or the other")
        if not entry.region:
            self._wrong(
                (*path, "region"),
                found="nothing",
                expected="a region of AWS, such as `eu-west-1`, to sign for",
            )
        token = entry.aws.session_token.env if entry.aws.session_token else ""
        access, secret = (
            self._secret(entry.aws.access_key.env, off),
            self._secret(entry.aws.secret_key.env, off),
        )
        lent = self._secret(token, off) if self._environ.get(token, "").strip() else None
        if access is None or secret is None:
            return None
        return AwsCredentials(access_key=access, secret_key=secret, session_token=lent)

    def _timeouts(self, entry: ProviderEntry) -> Timeouts:
        given = entry.timeouts
        usual = Timeouts()
        return Timeouts(
            connect=float(given.connect or usual.connect),
            first_byte=float(given.first_byte or usual.first_byte),
            idle=float(given.idle or usual.idle),
            total=float(given.total or usual.total),
        )

    def _headers(self, path: Trail, entry: ProviderEntry, off: list[str]) -> tuple[tuple[str, str], ...]:
        headers: dict[str, str] = {}
        for name, given in entry.headers.items():
            here = (*path, "headers", name)
            lower = name.lower()
            if lower in _OURS or (lower == "authorization" and entry.key):
                self._wrong(here, found=quoted(name), expected="a header the gateway does not set itself")
            if lower in headers:
                self._wrong(here, found=f"{quoted(name)} again in other letters", expected="each header once")
            value = self._secret(given.env, off) if isinstance(given, EnvRef) else given
            if value is not None and not _VALUE.fullmatch(value):
                self._wrong(here, found="text (not shown, it may be a secret)", expected="printable ASCII")
            headers[lower] = value or ""
        return tuple(headers.items())

    def _addresses(self, path: Trail, entry: ProviderEntry, off: list[str]) -> tuple[str, ...]:
        wire = quoted(entry.wire)
        fleet = entry.wire == "vllm"
        if self._report.touches((*path, "wire")):
            return ()
        if fleet and entry.base_url:
            self._wrong(
                (*path, "base_url"), found=f"it beside wire {wire}", expected="`workers: {static: [...]}`"
            )
        if not fleet and entry.workers:
            self._wrong((*path, "workers"), found=f"it beside wire {wire}", expected="`base_url`")
        if fleet:
            return self._workers(path, entry)
        here = (*path, "base_url")
        if entry.project and entry.wire == "vertex":
            if entry.base_url:
                self._wrong(here, found="it beside `project`", expected="one or the other")
            return (vertex_address(entry.project, entry.location),)
        if entry.region and entry.wire == "bedrock" and not entry.base_url:
            return (bedrock_address(entry.region),)
        if isinstance(entry.base_url, EnvUrl):
            env = entry.base_url.env
            given = self._environ.get(env, "").strip() or entry.base_url.default
            if given is UNSET:
                off.append(f"{env} is not set")
                return ()
            origin = f"{env} in the environment: " if self._environ.get(env, "").strip() else ""
            return self._address(here, str(given), origin)
        if entry.base_url:
            return self._address(here, entry.base_url)
        if entry.wire in self._built:
            self._wrong(here, found="nothing", expected=_ADDRESS)
        return ()

    def _workers(self, path: Trail, entry: ProviderEntry) -> tuple[str, ...]:
        here = (*path, "workers")
        addresses: list[str] = []
        for index, given in enumerate(entry.workers.static if entry.workers else ()):
            for address in self._address((*here, "static", index), given):
                root = address.removesuffix("/v1")
                if root in addresses:
                    self._wrong(
                        (*here, "static", index), found=f"{quoted(root)} again", expected="each worker once"
                    )
                addresses.append(root)
        if not addresses:
            self._wrong(here, found="no worker", expected="`static: [http://10.0.0.1:8000, ...]`")
        return tuple(addresses)

    def _address(self, path: Trail, given: str, origin: str = "") -> tuple[str, ...]:
        fault = _address_fault(given)
        if fault is None:
            return (given.rstrip("/"),)
        self._wrong(path, found=origin + fault, expected=_ADDRESS)
        return ()

    # ---- models

    def _model(self, name: str, entry: ModelEntry, providers: dict[str, Provider]) -> Model:
        path: Trail = ("models", name)
        price = self._price(path, entry)
        targets: list[Target] = []
        locked: list[Target] = []
        off: list[str] = []
        seen: set[tuple[str, str]] = set()
        for index, given in enumerate(entry.targets):
            here = (*path, "targets", index)
            provider = providers.get(given.provider)
            if provider is None:
                known = list(providers)
                self._wrong(
                    (*here, "provider"),
                    found=quoted(given.provider),
                    expected="a name from `providers`",
                    hint=self._report.hint(given.provider, known),
                )
                continue
            if (given.provider, given.model) in seen:
                self._wrong(
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

    def _price(self, path: Trail, entry: ModelEntry) -> Price:
        given = entry.price
        here = (*path, "price")
        if isinstance(given, UnsetType):
            if not entry.free:
                self._wrong(here, found="nothing", expected="a price, or `free: true`")
            return price_of(None)
        fault = price_fault(entry.kind, given, free=entry.free)
        if fault is not None and not self._report.has(here):
            self._fault(here, fault)
        return price_of(given)

    def _fault(self, path: Trail, fault: Fault) -> None:
        here = path if fault.field is None else (*path, fault.field)
        self._wrong(here, found=fault.found, expected=fault.expected)

    def _cost(self, path: Trail, entry: TargetEntry, kind: Kind, price: Price) -> Price | None:
        """What a target costs the operator; one that is dearer than what clients pay is worth a word."""
        if isinstance(entry.cost, UnsetType):
            return None
        here = (*path, "cost")
        cost = price_of(entry.cost)
        fault = cost_fault(kind, entry.cost)
        if fault is not None and not self._report.has(here):
            self._fault(here, fault)
        if dearer(cost, price) and not self._report.touches(here):
            self._warn(
                self._reader.spots[here], f"{render(here)} is above the price: each request loses money"
            )
        return cost

    def _names(self, models: dict[str, Model]) -> dict[str, Model]:
        """Every name a client may use; one that means two models is an error, not a matter of order."""
        names = dict(models)
        for model in models.values():
            for index, alias in enumerate(model.aliases):
                taken = names.setdefault(alias, model)
                if alias in models or taken is not model or alias in model.aliases[:index]:
                    line = self._reader.spots[("models", taken.name)].line
                    self._wrong(
                        ("models", model.name, "aliases", index),
                        found=f"{quoted(alias)}, to which models.{taken.name} (line {line}) already answers",
                        expected="a name no other model has",
                    )
        return names


def _address_fault(given: str) -> str | None:
    """What is wrong with an address, in words that cannot give away a password written into it."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return "one whose host or port makes no sense"
    if "@" in given:
        return "one with a user or password (not shown)"
    if not given.isascii() or not given.isprintable() or " " in given:
        return f"{quoted(given)}, which has characters that no address has"
    if parts.scheme not in ("http", "https"):
        return quoted(given)
    if "?" in given or "#" in given:
        return f"{quoted(given.partition('?')[0].partition('#')[0])} with a query or fragment"
    if (
        not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc)
        or port == 0
    ):
        return f"{quoted(given)}, whose host or port makes no sense"
    return None
