"""Fake providers of sound and pictures on one server, and models that are had there.

What was sent is kept, byte for byte. `broken` answers a path with something else; `pause` holds a body back half-way.
"""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.harness import GatewayProcess
from tests.media_peers import ANSWERS, KEYS, Answer, Sent, as_json


class MediaWorld:
    """The fake providers, and the gateway's models that are had there: `name(provider, kind)`."""

    def __init__(self, gateway: GatewayProcess, port: int) -> None:
        self.gateway = gateway
        self.sent: list[Sent] = []
        self.broken: dict[str, Answer] = {}
        self.pause = threading.Event()
        self.pause.set()
        self.tag = os.urandom(3).hex()
        self.root = f"http://127.0.0.1:{port}"
        self.answers = dict(ANSWERS)
        self._port = port
        key = {"env": "UPSTREAM_KEY"}
        self.providers = {
            "openai": {"wire": "openai", "base_url": f"{self.root}/openai/v1", "key": key},
            "elevenlabs": {"wire": "elevenlabs", "base_url": f"{self.root}/elevenlabs", "key": key},
            "deepgram": {"wire": "deepgram", "base_url": f"{self.root}/deepgram", "key": key},
            "gemini": {"wire": "gemini", "base_url": f"{self.root}/gemini", "key": key},
            "google": {"wire": "google-speech", "base_url": f"{self.root}/google", "key": key},
            "azure": {"wire": "azure-speech", "base_url": f"{self.root}/azure", "key": key},
            "stability": {"wire": "stability", "base_url": f"{self.root}/stability", "key": key},
            "fal": {
                "wire": "fal",
                "base_url": f"{self.root}/fal",
                "key": key,
                "timeouts": {"total": 3, "first_byte": 3, "idle": 3},
            },
        }
        self.models: dict[str, tuple[str, str, str, dict[str, float]]] = {
            "tts": ("speech", "openai", "tts-1", {"per_million_characters": 15}),
            "tts-tokens": ("speech", "openai", "gpt-4o-mini-tts", {"input": 0.6, "audio_output": 12}),
            "stt": ("transcription", "openai", "whisper-1", {"per_second": 0.0001}),
            "eleven": ("speech", "elevenlabs", "eleven_v3", {"per_million_characters": 100}),
            "scribe": ("transcription", "elevenlabs", "scribe_v2", {"per_hour": 0.4}),
            "aura": ("speech", "deepgram", "aura-2", {"per_million_characters": 30}),
            "nova": ("transcription", "deepgram", "nova-3", {"per_hour": 0.258}),
            "kore": ("speech", "gemini", "gemini-tts", {"input": 0.5, "audio_output": 10}),
            "banana": ("image", "gemini", "gemini-image", {"input": 0.3, "image_output": 30}),
            "neural": ("speech", "google", "en-US-Neural2-A", {"per_million_characters": 16}),
            "latest": ("transcription", "google", "latest_short", {"per_hour": 0.96}),
            "jenny": ("speech", "azure", "en-US-JennyNeural", {"per_million_characters": 15}),
            "fast": ("transcription", "azure", "fast", {"per_hour": 0.36}),
            "core": ("image", "stability", "core", {"per_image": 0.03}),
            "sd3": ("image", "stability", "sd3.5-large", {"per_image": 0.065}),
            "flux": ("image", "fal", "fal-ai/flux/dev", {"per_image": 0.025}),
            "image": ("image", "openai", "dall-e-3", {"per_image": 0.04}),
            "image-tokens": (
                "image",
                "openai",
                "gpt-image-2",
                {"input": 5, "image_input": 8, "image_output": 30},
            ),
        }
        self.install()

    def install(self) -> None:
        """Give the gateway these providers and models."""
        self.gateway.configure(
            providers={f"{name}-{self.tag}": entry for name, entry in self.providers.items()},
            models={
                self.name(name): {
                    "kind": kind,
                    "price": price,
                    "targets": [{"provider": f"{provider}-{self.tag}", "model": model}],
                }
                for name, (kind, provider, model, price) in self.models.items()
            },
        )

    def name(self, model: str) -> str:
        """What the gateway calls one of the models."""
        return f"{model}-{self.tag}"

    def last(self) -> Sent:
        """The newest request that reached a provider."""
        return self.sent[-1]


@contextmanager
def media_world(gateway: GatewayProcess) -> Generator[MediaWorld]:
    """Fake providers while it is entered."""
    worlds: list[MediaWorld] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            world = worlds[0]
            parts = urlsplit(self.path)
            headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            sent = Sent(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            world.sent.append(sent)
            answer = world.broken.get(parts.path)
            for start, (name, value) in KEYS.items():
                if parts.path.startswith(start) and headers.get(name) != value:
                    answer = as_json({"error": {"message": "no"}}, 401)
            answer = answer or world.answers[parts.path](sent)
            self.send_response(answer.status)
            self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            half = len(answer.body) // 2
            self.wfile.write(answer.body[:half])
            self.wfile.flush()
            world.pause.wait(10)
            self.wfile.write(answer.body[half:])

        do_POST = do_GET = do_PUT = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="media")
    thread.start()
    try:
        worlds.append(MediaWorld(gateway, server.server_port))
        yield worlds[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
