"""Settings: the environment, read once into a frozen Struct; every mistake is reported at once."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from billing.currency import rates
from billing.invoices.document import Party
from billing.processors.offers import packs
from gateway.alerts.mail import mail_sender, mail_server
from inference.ir.errors import InvalidField

_MIB = 1024 * 1024


class SettingsError(Exception):
    """The environment is wrong; one line for each variable that has to be mended."""


class Settings(Struct, frozen=True, kw_only=True):
    """How this process was asked to run. Sizes in bytes, times in seconds."""

    config_path: Path = Path("config/models.yaml")
    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path(".aspendos")
    database_url: str | None = None
    redis_url: str | None = None
    admin_key: str | None = None
    key_pepper: str | None = None
    master_keys: str | None = None
    drift_every: float = 60.0
    token_keys: str | None = None
    issuer: str = "aspendos"
    access_lifetime: float = 900.0
    refresh_lifetime: float = 7 * 86400.0
    oidc_file: Path | None = None
    max_body: int = 32 * _MIB
    upload_memory: int = _MIB
    upload_dir: Path | None = None
    uploads_total: int = 4 * 1024 * _MIB
    max_headers: int = 100
    max_header_bytes: int = 64 * 1024
    header_timeout: float = 10.0
    body_timeout: float = 60.0
    keepalive_timeout: float = 75.0
    max_response: int = 128 * _MIB
    drain_delay: float = 0.0
    drain_timeout: float = 30.0
    fsync: str = "interval"
    log_level: str = "info"
    log_file: Path | None = None
    workers: int = 1
    processes: int | None = None
    offline_credit: int = 1_000_000_000
    hold_lease: float = 60.0
    smtp_url: str | None = None
    smtp_from: str | None = None
    private_webhooks: bool = False
    stripe_key: str | None = None
    stripe_webhook_secret: str | None = None
    stripe_api_base: str | None = None
    stripe_meter: str | None = None
    polar_token: str | None = None
    polar_webhook_secret: str | None = None
    polar_api_base: str | None = None
    polar_meter: str | None = None
    credit_packs: str = ""
    exchange_rates: str = ""
    payment_grace: float = 7 * 86400.0
    fallback_tier: str | None = None
    seller: Party = Party(name="aspendos")
    invoice_font: Path | None = None
    responses_kept: float = 30 * 86400.0
    max_file: int = 512 * _MIB
    max_files_total: int = 10 * 1024 * _MIB
    batch_parallel: int = 4

    @property
    def database(self) -> str:
        """The database's URL: the one given, else a SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'aspendos.db'}"

    @property
    def spool_dir(self) -> Path:
        """Where large uploads lie while they are served."""
        return self.upload_dir or self.data_dir / "tmp"

    def __repr__(self) -> str:
        """Without secrets: settings end up in logs."""
        return f"Settings(host={self.host!r}, port={self.port}, data_dir={str(self.data_dir)!r})"


def _whole(text: str, expected: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(expected) from None


def _number(text: str, expected: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(expected) from None


def _port(text: str) -> int:
    expected = "expected a port number from 0 to 65535"
    value = _whole(text, expected)
    if not 0 <= value <= 65535:
        raise ValueError(expected)
    return value


def _size(text: str) -> int:
    units = {"k": 1024, "m": _MIB, "g": 1024 * _MIB}
    number, factor = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    expected = "expected a size above zero, such as 33554432 or 32m"
    value = _whole(number, expected) * factor
    if value <= 0:
        raise ValueError(expected)
    return value


def _seconds(text: str) -> float:
    expected = "expected seconds above zero, such as 30 or 0.5"
    value = _number(text.removesuffix("s"), expected)
    if not 0 < value < 86400:
        raise ValueError(expected)
    return value


def _pause(text: str) -> float:
    expected = "expected seconds from 0 to 3600, such as 5"
    value = _number(text.removesuffix("s"), expected)
    if not 0 <= value <= 3600:
        raise ValueError(expected)
    return value


def _nano_usd(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})(?:\.(\d{1,9}))?", text)
    if match is None:
        raise ValueError("expected US dollars of 0 or more, such as 1 or 0.25")
    return int(match[1] + (match[2] or "").ljust(9, "0"))


def _some_days(text: str) -> float:
    expected = "expected days above zero and up to 365, such as 7"
    value = _number(text.removesuffix("d"), expected)
    if not 0 < value <= 365:
        raise ValueError(expected)
    return value * 86400


def _every(text: str) -> float:
    return 0.0 if text == "off" else _seconds(text)


def _count(text: str) -> int:
    expected = "expected a whole number above zero"
    value = _whole(text, expected)
    if value < 1:
        raise ValueError(expected)
    return value


def _word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text.lower()

    return read


def _secret(text: str) -> str:
    if len(text) < 16:
        raise ValueError("expected at least 16 characters")
    return text


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}:" for scheme in schemes)):
            raise ValueError(f"expected a URL starting with {', '.join(f'{scheme}:' for scheme in schemes)}")
        return text

    return read


def _checked(read: Callable[[str], object]) -> Callable[[str], str]:
    """Text that stays text, once `read` has understood it."""

    def check(text: str) -> str:
        try:
            read(text)
        except InvalidField as error:
            raise ValueError(error.message) from error
        return text

    return check


def _seller(text: str) -> Party:
    try:
        return msgspec.json.decode(text, type=Party)
    except msgspec.MsgspecError as error:
        raise ValueError(f"expected a JSON object with at least a name: {error}") from error


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return Path(text)


def _days(text: str) -> float:
    expected = "expected days from 0 to 90"
    value = _number(text, expected)
    if not 0 <= value <= 90:
        raise ValueError(expected)
    return value * 86400


def _kept_days(text: str) -> float:
    expected = "expected days from 0 (keep nothing) to 3650, such as 30"
    value = _number(text.removesuffix("d"), expected)
    if not 0 <= value <= 3650:
        raise ValueError(expected)
    return value * 86400


def _mail(text: str) -> str:
    mail_server(text)
    return text


READERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "ASPENDOS_CONFIG": ("config_path", Path, "the catalogue file (config/models.yaml)"),
    "ASPENDOS_HOST": ("host", str, "address to listen on (127.0.0.1)"),
    "ASPENDOS_PORT": ("port", _port, "port to listen on (8080)"),
    "ASPENDOS_DATA_DIR": (
        "data_dir",
        Path,
        "where journal, database, models and uploads under way are kept (.aspendos)",
    ),
    "ASPENDOS_DATABASE_URL": (
        "database_url",
        _url("sqlite", "postgres", "postgresql", "sqlite+aiosqlite", "postgresql+asyncpg"),
        "SQLite or PostgreSQL (a SQLite file in the data directory)",
    ),
    "ASPENDOS_REDIS_URL": ("redis_url", _url("redis", "rediss", "unix"), "Redis, for news between processes"),
    "ASPENDOS_PROCESSES": (
        "processes",
        _count,
        "gateway processes that count together; each keeps to its part of a limit while Redis is away (the workers)",
    ),
    "ASPENDOS_HOLD_LEASE": (
        "hold_lease",
        _seconds,
        "seconds after which a silent process counts as dead: what it held is freed (60s)",
    ),
    "ASPENDOS_OFFLINE_CREDIT": (
        "offline_credit",
        _nano_usd,
        "USD one process may lend per account, from its last known balance, while Redis is away (1)",
    ),
    "ASPENDOS_ADMIN_KEY": ("admin_key", _secret, "bearer key of the management API (off without it)"),
    "ASPENDOS_KEY_PEPPER": (
        "key_pepper",
        _secret,
        "secret mixed into key hashes (a file in the data directory)",
    ),
    "ASPENDOS_MASTER_KEY": (
        "master_keys",
        str,
        "key or keys that encrypt tenants' provider keys, newest first (a file in the data directory)",
    ),
    "ASPENDOS_TOKEN_KEY": (
        "token_keys",
        str,
        "key or keys that sign access tokens, newest first (a file in the data directory)",
    ),
    "ASPENDOS_TOKEN_ISSUER": ("issuer", str, "`iss` of access tokens, best the public URL (aspendos)"),
    "ASPENDOS_ACCESS_LIFETIME": ("access_lifetime", _seconds, "seconds an access token lives (900)"),
    "ASPENDOS_REFRESH_LIFETIME": (
        "refresh_lifetime",
        _some_days,
        "days a refresh token waits to be used (7)",
    ),
    "ASPENDOS_OIDC_FILE": ("oidc_file", Path, "YAML file of the OpenID Connect issuers to trust (none)"),
    "ASPENDOS_MAX_BODY": ("max_body", _size, "largest request body (32m)"),
    "ASPENDOS_UPLOAD_MEMORY": (
        "upload_memory",
        _size,
        "bytes of an upload (a form with files) that are held in memory; a larger one goes to the disk (1m)",
    ),
    "ASPENDOS_UPLOAD_DIR": ("upload_dir", Path, "where it lies there meanwhile (tmp in the data directory)"),
    "ASPENDOS_UPLOADS_TOTAL": (
        "uploads_total",
        _size,
        "bytes that the uploads of a process may take there together (4g)",
    ),
    "ASPENDOS_MAX_RESPONSE": ("max_response", _size, "largest response that is not streamed (128m)"),
    "ASPENDOS_MAX_HEADERS": ("max_headers", _count, "most request headers (100)"),
    "ASPENDOS_MAX_HEADER_BYTES": ("max_header_bytes", _size, "largest request head (64k)"),
    "ASPENDOS_HEADER_TIMEOUT": ("header_timeout", _seconds, "for a request's head to arrive (10)"),
    "ASPENDOS_BODY_TIMEOUT": ("body_timeout", _seconds, "for a request's body to arrive (60)"),
    "ASPENDOS_KEEPALIVE_TIMEOUT": ("keepalive_timeout", _seconds, "idle client connections are kept (75)"),
    "ASPENDOS_DRAIN_DELAY": (
        "drain_delay",
        _pause,
        "seconds after SIGTERM in which /health/ready says 503 and all else goes on, for load balancers to hear (0)",
    ),
    "ASPENDOS_DRAIN_TIMEOUT": ("drain_timeout", _seconds, "running requests may finish at shutdown (30)"),
    "ASPENDOS_FSYNC": (
        "fsync",
        _word("never", "interval", "always"),
        "journal to disk: never, interval, always",
    ),
    "ASPENDOS_DRIFT_EVERY": (
        "drift_every",
        _every,
        "seconds between looks at vLLM workers' token counters, or off (60)",
    ),
    "ASPENDOS_RESPONSES_DAYS": (
        "responses_kept",
        _kept_days,
        "days a stored response is kept after the last of its conversation; 0 stores none (30)",
    ),
    "ASPENDOS_MAX_FILE": ("max_file", _size, "largest file that can be uploaded (512m)"),
    "ASPENDOS_MAX_FILES_TOTAL": (
        "max_files_total",
        _size,
        "bytes that a team's files may take together (10g)",
    ),
    "ASPENDOS_BATCH_PARALLEL": (
        "batch_parallel",
        _count,
        "lines of batches that a process asks for at a time (4)",
    ),
    "ASPENDOS_LOG_LEVEL": (
        "log_level",
        _word("debug", "info", "warning", "error"),
        "least level logged (info)",
    ),
    "ASPENDOS_LOG_FILE": ("log_file", Path, "where JSON logs go (standard error)"),
    "ASPENDOS_WORKERS": ("workers", _count, "processes that serve (1)"),
    "ASPENDOS_SMTP_URL": (
        "smtp_url",
        _mail,
        "mail server of alerts: smtp://user:password@host:587 or smtps:// (no mail)",
    ),
    "ASPENDOS_SMTP_FROM": ("smtp_from", mail_sender, "sender of alerts (aspendos@ the mail server's host)"),
    "ASPENDOS_PRIVATE_WEBHOOKS": (
        "private_webhooks",
        lambda text: _word("yes", "no")(text) == "yes",
        "whether users' webhooks may lie in a private network: yes, no (no; the operator's always may)",
    ),
    "ASPENDOS_STRIPE_KEY": ("stripe_key", _secret, "Stripe's secret key, sk_… (no payments without it)"),
    "ASPENDOS_STRIPE_WEBHOOK_SECRET": (
        "stripe_webhook_secret",
        _secret,
        "signing secret of the webhook endpoint, whsec_…; the new and the old one with a comma while rolling",
    ),
    "ASPENDOS_STRIPE_API_BASE": ("stripe_api_base", _url("http", "https"), "another address of Stripe's API"),
    "ASPENDOS_STRIPE_METER": (
        "stripe_meter",
        str,
        "event name of the Billing Meter that usage is told (none)",
    ),
    "ASPENDOS_POLAR_TOKEN": ("polar_token", _secret, "Polar's organization access token, polar_oat_… (off)"),
    "ASPENDOS_POLAR_WEBHOOK_SECRET": (
        "polar_webhook_secret",
        _secret,
        "signing secret of Polar's webhook endpoint; the new and the old one with a comma while rolling",
    ),
    "ASPENDOS_POLAR_API_BASE": (
        "polar_api_base",
        _url("http", "https"),
        "another address of Polar's API, such as its sandbox",
    ),
    "ASPENDOS_POLAR_METER": ("polar_meter", str, "name of the events that tell Polar of usage (none)"),
    "ASPENDOS_CREDIT_PACKS": (
        "credit_packs",
        _checked(packs),
        "credits for sale, such as small=1000:10USD large=12000:100USD:95EUR (none)",
    ),
    "ASPENDOS_EXCHANGE_RATES": (
        "exchange_rates",
        _checked(rates),
        "dollars for one unit, such as TRY=0.029,EUR=1.08 (only USD)",
    ),
    "ASPENDOS_PAYMENT_GRACE": (
        "payment_grace",
        _days,
        "a tier is kept while a renewal is unpaid, in days (7)",
    ),
    "ASPENDOS_SELLER": (
        "seller",
        _seller,
        'who issues invoices, as JSON: {"name": "…", "address": ["…"], "country": "TR", "tax_id": "…"}',
    ),
    "ASPENDOS_INVOICE_FONT": ("invoice_font", _file, "TrueType font of invoices' PDFs (DejaVu Sans)"),
    "ASPENDOS_FALLBACK_TIER": ("fallback_tier", str, "tier of organisations whose subscription ended (none)"),
}
"""Every variable: the field it sets, how it is read, and what it is for."""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment; an empty variable counts as absent. Raises SettingsError."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, (field, read, _) in READERS.items():
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            values[field] = read(text)
        except ValueError as error:
            shown = "" if "KEY" in name or "URL" in name else f" is {text!r}"
            problems.append(f"{name}{shown}: {error}")
    unknown = sorted(name for name in environ if name.startswith("ASPENDOS_") and name not in READERS)
    internal = {"ASPENDOS_SUPERVISOR_PID", "ASPENDOS_LOCAL_URL"}
    problems += [f"{name}: no such setting" for name in unknown if name not in internal]
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(**values)
