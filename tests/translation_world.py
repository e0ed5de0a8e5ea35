"""Providers of translation, emulated at the wire and strictly: what their documentation does not allow is refused.

Each wants its own key in its own place, takes only the fields it knows and the languages it knows, holds its limits of
texts a request, and answers and refuses in its own shapes. A "translation" is the text in capitals, so that tests can
see what was translated and what was not. Kept to: DeepL's OpenAPI document 3.9, Google's "Method: translate" and
Microsoft's "Translator v3.0: Translate".
"""

import json
import os
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from tests.harness import UPSTREAM_KEY, GatewayProcess

REGION = "westeurope"
_TAGS = re.compile(r"(<[^>]*>)")
_DEEPL_TARGETS = frozenset({"DE", "EN-GB", "EN-US", "FR", "JA", "PT-BR", "PT-PT", "ZH", "ZH-HANS", "ZH-HANT"})
_DEEPL_SOURCES = frozenset({"DE", "EN", "FR", "JA", "PT", "ZH"})
_DEEPL_FIELDS: dict[str, type | tuple[type, ...]] = {
    "text": list,
    "source_lang": str,
    "target_lang": str,
    "context": str,
    "show_billed_characters": bool,
    "split_sentences": str,
    "preserve_formatting": bool,
    "formality": str,
    "model_type": str,
    "glossary_id": str,
    "tag_handling": str,
    "outline_detection": bool,
    "non_splitting_tags": list,
    "splitting_tags": list,
    "ignore_tags": list,
}
_GOOGLE_FIELDS = frozenset({"q", "target", "source", "format", "model"})
_GOOGLE_LANGUAGES = frozenset({"de", "en", "fr", "ja", "pt", "pt-PT", "zh-CN", "zh-TW"})
_AZURE_QUERY = frozenset({"api-version", "to", "from", "category", "textType"})
_AZURE_LANGUAGES = frozenset({"de", "en", "fr", "ja", "pt", "pt-pt", "zh-Hans", "zh-Hant"})


class Sent(Struct):
    """One request as a provider received it."""

    path: str
    headers: dict[str, str]
    body: Any


class Refusal(Exception):
    """A status, and the body that goes with it."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def said_in_capitals(text: str, *, html: bool) -> str:
    """Tags are left as they are where they are known for tags."""
    pieces = _TAGS.split(text) if html else [text]
    return "".join(piece if html and at % 2 else piece.upper() for at, piece in enumerate(pieces))


def deepl(path: str, headers: dict[str, str], asked: Any) -> object:
    def no(status: int, message: str) -> Refusal:
        return Refusal(status, {"message": message})

    if headers.get("authorization") != f"DeepL-Auth-Key {UPSTREAM_KEY}":
        raise no(403, "Authorization failed. Please supply a valid auth_key parameter.")
    if path != "/v2/translate":
        raise no(404, "Not found")
    for name, value in asked.items():
        kind = _DEEPL_FIELDS.get(name)
        if kind is None or not isinstance(value, kind):
            raise no(400, f"Bad request. Reason: Invalid value for '{name}'.")
    if not asked.get("text") or len(asked["text"]) > 50:
        raise no(400, "Parameter 'text' not specified." if not asked.get("text") else "Too many texts.")
    if asked.get("target_lang") not in _DEEPL_TARGETS:
        raise no(400, "Value for 'target_lang' not supported.")
    if asked.get("source_lang", "EN") not in _DEEPL_SOURCES:
        raise no(400, "Value for 'source_lang' not supported.")
    if "glossary_id" in asked and "source_lang" not in asked:
        raise no(400, "Use of a glossary requires the source_lang parameter to be specified.")
    if asked.get("formality", "default") in ("more", "less") and asked["target_lang"].startswith("EN"):
        raise no(400, "'formality' is not supported for given 'target_lang'.")
    html = asked.get("tag_handling") == "html"
    texts: list[dict[str, Any]] = []
    for text in asked["text"]:
        told: dict[str, Any] = {
            "detected_source_language": asked.get("source_lang", "EN"),
            "text": said_in_capitals(text, html=html),
        }
        if asked.get("show_billed_characters"):
            told["billed_characters"] = len(_TAGS.sub("", text) if html else text)
        texts.append(told)
    return {"translations": texts}


def google(path: str, headers: dict[str, str], asked: Any) -> object:
    def no(code: int, message: str, reason: str, status: str) -> Refusal:
        errors = [{"message": message, "domain": "global", "reason": reason}]
        return Refusal(
            code, {"error": {"code": code, "message": message, "errors": errors, "status": status}}
        )

    if headers.get("x-goog-api-key") != UPSTREAM_KEY:
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        refused = no(400, "API key not valid. Please pass a valid API key.", "badRequest", "INVALID_ARGUMENT")
        refused.body["error"]["details"] = details  # pyright: ignore[reportIndexIssue]  # made just above
        raise refused
    if path != "/language/translate/v2":
        raise no(404, "Not found", "notFound", "NOT_FOUND")
    for name in asked:
        if name not in _GOOGLE_FIELDS:
            message = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            raise no(400, message, "invalid", "INVALID_ARGUMENT")
    if len(asked["q"]) > 128:
        raise no(400, "Too many text segments", "invalid", "INVALID_ARGUMENT")
    for name in ("target", "source"):
        if asked.get(name, "de") not in _GOOGLE_LANGUAGES:
            raise no(400, "Invalid Value", "invalid", "INVALID_ARGUMENT")
    if asked.get("model", "nmt") not in ("nmt", "base"):
        raise no(400, "Invalid model", "invalid", "INVALID_ARGUMENT")
    html = asked.get("format", "html") == "html"
    texts: list[dict[str, str]] = []
    for text in asked["q"]:
        told = {"translatedText": said_in_capitals(text, html=html)}
        if "source" not in asked:
            told["detectedSourceLanguage"] = "en"
        texts.append({**told, "model": asked["model"]} if "model" in asked else told)
    return {"data": {"translations": texts}}


def azure(path: str, headers: dict[str, str], asked: Any) -> object:
    def no(code: int, message: str) -> Refusal:
        return Refusal(code // 1000, {"error": {"code": code, "message": message}})

    if (
        headers.get("ocp-apim-subscription-key") != UPSTREAM_KEY
        or headers.get("ocp-apim-subscription-region") != REGION
    ):
        raise no(401000, "The request is not authorized because credentials are missing or invalid.")
    where = urlsplit(path)
    query = parse_qs(where.query, keep_blank_values=True)
    if where.path != "/translate" or query.get("api-version") != ["3.0"]:
        raise no(400021, "The API version parameter is missing or not valid.")
    if set(query) - _AZURE_QUERY:
        raise no(400000, "One of the request inputs is not valid.")
    for name, code, which in (("to", 400036, "target"), ("from", 400035, "source")):
        if not _AZURE_LANGUAGES.issuperset(query.get(name, ())):
            raise no(code, f"The {which} language is not valid.")
    texts: list[dict[str, str]] = asked
    if len(texts) > 1000 or any(list(each) != ["Text"] for each in texts):
        raise no(400074, "The body of the request is not valid JSON.")
    html = query.get("textType") == ["html"]
    answers: list[dict[str, Any]] = []
    for each in texts:
        told: dict[str, Any] = {
            "translations": [
                {"text": said_in_capitals(each["Text"], html=html), "to": to} for to in query["to"]
            ]
        }
        if "from" not in query:
            told["detectedLanguage"] = {"language": "en", "score": 1.0}
        answers.append(told)
    return answers


_PROVIDERS = {"deepl": deepl, "google": google, "azure": azure}


class TranslationWorld:
    """The providers, and the names of the gateway's models that are had there, at 25, 20 and 10 USD a million."""

    def __init__(self, gateway: GatewayProcess, port: int, sent: list[Sent], broken: dict[str, Any]) -> None:
        self.gateway = gateway
        self.sent = sent
        self.broken = broken
        tag = os.urandom(3).hex()
        key = {"env": "UPSTREAM_KEY"}
        wires = {"deepl": "deepl", "google": "google-translate", "azure": "azure-translate"}
        providers: dict[str, Any] = {
            f"{name}-{tag}": {"wire": wire, "base_url": f"http://127.0.0.1:{port}/{name}", "key": key}
            for name, wire in wires.items()
        }
        providers[f"azure-{tag}"]["headers"] = {"Ocp-Apim-Subscription-Region": REGION}
        targets = {"deepl": "default", "google": "nmt", "azure": "general"}
        prices = {"deepl": 25, "google": 20, "azure": 10}
        self.models = {name: f"translate-{name}-{tag}" for name in wires}
        self.chat = f"translate-chat-{tag}"
        gateway.configure(
            providers=providers,
            models={
                self.models[name]: {
                    "kind": "translation",
                    "price": {"per_million_characters": prices[name]},
                    "targets": [{"provider": f"{name}-{tag}", "model": model}],
                }
                for name, model in targets.items()
            }
            | {
                self.chat: {
                    "kind": "chat",
                    "free": True,
                    "targets": [{"provider": f"deepl-{tag}", "model": "default"}],
                }
            },
        )

    def last(self) -> Sent:
        """The newest request that reached a provider."""
        return self.sent[-1]


@contextmanager
def translation_world(gateway: GatewayProcess) -> Generator[TranslationWorld]:
    """The providers while it is entered. `broken` maps a provider to the (status, body) it answers instead."""
    sent: list[Sent] = []
    broken: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            name, _, rest = self.path[1:].partition("/")
            headers = {key.lower(): value for key, value in self.headers.items()}
            asked = json.loads(body)
            sent.append(Sent(f"/{rest}", headers, asked))
            status, answer = broken.get(name) or _answer(name, f"/{rest}", headers, asked)
            told = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="translators")
    thread.start()
    try:
        yield TranslationWorld(gateway, server.server_port, sent, broken)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _answer(name: str, path: str, headers: dict[str, str], asked: Any) -> tuple[int, object]:
    try:
        return 200, _PROVIDERS[name](path, headers, asked)
    except Refusal as refused:
        return refused.status, refused.body
