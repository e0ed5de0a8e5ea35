"""AWS Signature Version 4: the lines that prove who sends a request and that nobody changed it. Pure.

The moment comes in as unix seconds. Every header handed in is signed, the body always.
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html)
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from inference.ir.cards import AwsCredentials

Line = tuple[str, str]
_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    credentials: AwsCredentials,
    *,
    method: str,
    target: str,
    headers: Iterable[Line],
    body: bytes,
    region: str,
    service: str,
    now: float,
) -> tuple[Line, ...]:
    """The headers to add to a request. `target` is the path as it is sent, encoded, with its query.

    `headers` must hold `host`; they have to be sent as they are handed in, but for spaces around them.
    """
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added: list[Line] = [("x-amz-date", moment)]
    if credentials.session_token is not None:
        added.append(("x-amz-security-token", credentials.session_token))
    written, names = _headers([*headers, *added])
    path, _, query = target.partition("?")
    canonical = "\n".join(
        (method, _path(path), _query(query), written, "", names, hashlib.sha256(body).hexdigest())
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = _key(credentials.secret_key, moment[:8], region, service)
    signature = _hmac(key, f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}").hex()
    value = f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return (*added, ("authorization", value))


def _headers(lines: Iterable[Line]) -> tuple[str, str]:
    """The headers in the form that is signed, one a line, and their names."""
    values: dict[str, list[str]] = {}
    for name, value in lines:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = sorted(values)
    return "\n".join(f"{name}:{','.join(values[name])}" for name in names), ";".join(names)


def _path(path: str) -> str:
    """The path without `.`, `..` and doubled slashes, encoded once more: what is `%3A` on the way is `%253A` here."""
    kept: list[str] = []
    for step in path.split("/"):
        if step == "..":
            if kept:
                kept.pop()
        elif step and step != ".":
            kept.append(step)
    ends = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{ends}", safe="/~")


def _query(query: str) -> str:
    pairs = (each.partition("=") for each in query.split("&")) if query else ()
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in pairs))


def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = _hmac(key, word)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
