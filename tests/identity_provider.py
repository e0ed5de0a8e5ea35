"""A small OpenID Connect issuer on loopback: its keys over HTTP, its tokens made by hand, its failures on demand."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from policies import tokens

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(algorithm: str, *, bits: int = 2048) -> PrivateKey:
    """A private key fit for `algorithm`."""
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, bits)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def public_jwk(key: PrivateKey, algorithm: str, **members: Any) -> dict[str, Any]:
    """Its public half as a JWK, with `members` beside."""
    found: Any = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, **members}


def forged(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: Any = None) -> str:
    """A token of whatever header, claims and signature: nothing is checked."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{tokens.part(json.dumps(header).encode())}.{tokens.part(body)}"
    algorithm = get_default_algorithms().get(str(header.get("alg")))
    signature = b"unsigned" if key is None or algorithm is None else algorithm.sign(signed.encode(), key)
    return f"{signed}.{tokens.part(signature)}"


class IdentityProvider:
    """Runs on a thread while it is entered. `broken` makes it answer 500; `requests` counts what it was asked."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self.keys: dict[str, PrivateKey] = {"first": new_key(algorithm)}
        self.published: list[dict[str, Any]] | None = None
        self.says_issuer: str | None = None
        self.broken = False
        self.requests: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.requests.append(self.path)
                status, body = provider.answer(self.path)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Not to the terminal of the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/realm"

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.broken:
            return 500, b"{}"
        if path == "/realm/.well-known/openid-configuration":
            found: Any = {
                "issuer": self.says_issuer or self.issuer,
                "jwks_uri": f"{self.issuer}/keys?v=1",
                "more": [1],
            }
        elif path == "/realm/keys?v=1":
            found = {"keys": self.published if self.published is not None else self._public()}
        else:
            return 404, b"{}"
        return 200, json.dumps(found).encode()

    def rotate(self, name: str, *, keep: bool = False) -> None:
        """Sign with a new key; the old ones are withdrawn unless kept."""
        self.keys = {name: new_key(self.algorithm), **(self.keys if keep else {})}

    def claims(self, now: float, **changed: Any) -> dict[str, Any]:
        """Those of a good token; None takes one away."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": "aspendos",
            "sub": "subject-1",
            "iat": int(now),
            "exp": int(now) + 600,
            "email": "Grace@Example.com",
            "name": "Grace",
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, now: float, *, kid: str | None = None, **changed: Any) -> str:
        """A good token, signed with the newest key or the one named."""
        name = kid or next(iter(self.keys))
        header = {"alg": self.algorithm, "typ": "JWT", "kid": name}
        return forged(header, self.claims(now, **changed), self.keys[name])

    def _public(self) -> list[dict[str, Any]]:
        return [
            public_jwk(key, self.algorithm, kid=name, use="sig", alg=self.algorithm)
            for name, key in self.keys.items()
        ]
