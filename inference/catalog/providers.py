"""The providers of config/models.yaml, from what is written and what the environment holds to what they are."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import UNSET

from inference.catalog.findings import Findings
from inference.catalog.provider_entry import EnvRef, EnvUrl, ProviderEntry
from inference.ir.cards import AwsCredentials, Provider, Timeouts
from inference.providers.bedrock.naming import address as bedrock_address
from inference.providers.vertex import address as vertex_address
from inference.yaml_source import Trail, quoted, render

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {"connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_SET_BY = {"ASPENDOS_LOCAL_URL": " (`aspendos serve --embedded` starts the worker and sets it)"}
"""Variables that are seldom set by hand, and what sets them."""
_ADDRESS = "an http(s) address without user, query or fragment, such as `https://api.openai.com/v1`"


class ProviderResolver:
    """One pass over the providers of one file."""

    def __init__(self, findings: Findings, environ: Mapping[str, str]) -> None:
        self._findings = findings
        self._environ = environ

    def provider(self, name: str, entry: ProviderEntry) -> Provider:
        """Its card, its mistakes reported; off where the environment lacks what it needs."""
        path: Trail = ("providers", name)
        off: list[str] = []
        keyless: list[str] = []
        key = self._secret(entry.key.env, keyless) if entry.key else None
        account, aws = self._account(path, entry, keyless), self._aws(path, entry, keyless)
        if not entry.tls.verify:
            self._findings.warn(
                (*path, "tls"), f"{render(path)} accepts any certificate: anyone on the way can read along"
            )
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
            media_hosts=entry.media_hosts,
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
                self._findings.wrong(
                    (*path, name), found=f"it beside wire {quoted(entry.wire)}", expected="wire `vertex`"
                )
        if not entry.service_account:
            return None
        if entry.key:
            self._findings.wrong(
                (*path, "service_account"), found="it beside `key`", expected="one or the other"
            )
        env = entry.service_account.env
        value = self._environ.get(env, "").strip()
        if not value:
            off.append(f"{env} is not set")
        return value or None

    def _aws(self, path: Trail, entry: ProviderEntry, off: list[str]) -> AwsCredentials | None:
        """Keys of AWS from the environment; a session token only where there is one."""
        for name in ("aws", "region"):
            if entry.wire != "bedrock" and getattr(entry, name):
                self._findings.wrong(
                    (*path, name), found=f"it beside wire {quoted(entry.wire)}", expected="wire `bedrock`"
                )
        if not entry.aws:
            return None
        if entry.key:
            self._findings.wrong((*path, "aws"), found="it beside `key`", expected="one or the other")
        if not entry.region:
            self._findings.wrong(
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
                self._findings.wrong(
                    here, found=quoted(name), expected="a header the gateway does not set itself"
                )
            if lower in headers:
                self._findings.wrong(
                    here, found=f"{quoted(name)} again in other letters", expected="each header once"
                )
            value = self._secret(given.env, off) if isinstance(given, EnvRef) else given
            if value is not None and not _VALUE.fullmatch(value):
                self._findings.wrong(
                    here, found="text (not shown, it may be a secret)", expected="printable ASCII"
                )
            headers[lower] = value or ""
        return tuple(headers.items())

    def _addresses(self, path: Trail, entry: ProviderEntry, off: list[str]) -> tuple[str, ...]:
        wire = quoted(entry.wire)
        fleet = entry.wire == "vllm"
        if self._findings.touches((*path, "wire")):
            return ()
        if fleet and entry.base_url:
            self._findings.wrong(
                (*path, "base_url"), found=f"it beside wire {wire}", expected="`workers: {static: [...]}`"
            )
        if not fleet and entry.workers:
            self._findings.wrong((*path, "workers"), found=f"it beside wire {wire}", expected="`base_url`")
        if fleet:
            return self._workers(path, entry)
        here = (*path, "base_url")
        if entry.project and entry.wire == "vertex":
            if entry.base_url:
                self._findings.wrong(here, found="it beside `project`", expected="one or the other")
            return (vertex_address(entry.project, entry.location),)
        if entry.region and entry.wire == "bedrock" and not entry.base_url:
            return (bedrock_address(entry.region),)
        if isinstance(entry.base_url, EnvUrl):
            env = entry.base_url.env
            given = self._environ.get(env, "").strip() or entry.base_url.default
            if given is UNSET:
                off.append(f"{env} is not set{_SET_BY.get(env, '')}")
                return ()
            origin = f"{env} in the environment: " if self._environ.get(env, "").strip() else ""
            return self._address(here, str(given), origin)
        if entry.base_url:
            return self._address(here, entry.base_url)
        self._findings.wrong(here, found="nothing", expected=_ADDRESS)
        return ()

    def _workers(self, path: Trail, entry: ProviderEntry) -> tuple[str, ...]:
        here = (*path, "workers")
        addresses: list[str] = []
        for index, given in enumerate(entry.workers.static if entry.workers else ()):
            for address in self._address((*here, "static", index), given):
                root = address.removesuffix("/v1")
                if root in addresses:
                    self._findings.wrong(
                        (*here, "static", index), found=f"{quoted(root)} again", expected="each worker once"
                    )
                addresses.append(root)
        if not addresses:
            self._findings.wrong(here, found="no worker", expected="`static: [http://10.0.0.1:8000, ...]`")
        return tuple(addresses)

    def _address(self, path: Trail, given: str, origin: str = "") -> tuple[str, ...]:
        fault = _address_fault(given)
        if fault is None:
            return (given.rstrip("/"),)
        self._findings.wrong(path, found=origin + fault, expected=_ADDRESS)
        return ()


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
