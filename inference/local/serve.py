"""Serve: loads the local models and runs the worker. The only file that names them all and the web server."""

import errno
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import uvicorn

from inference.ir.cards import Kind
from inference.local.app import LocalWorker
from inference.local.builtin import prepare_minilm, prepare_tiny
from inference.local.chat_model import ChatModel
from inference.local.embedding_model import EmbeddingModel
from inference.local.library import Library
from inference.local.refusals import LocalModelError


def build_worker(data_dir: Path, *, cores: int, say: Callable[[str], None]) -> LocalWorker:
    """The application over the built-in models and all that were added; converts built-in ones on first start.

    A model that cannot be loaded is left out, and `say` is told why.
    """
    library = Library(data_dir)
    for prepare in (prepare_tiny, prepare_minilm):
        try:
            prepare(library)
        except LocalModelError as error:
            say(str(error))
    chat: dict[str, ChatModel] = {}
    embedding: dict[str, EmbeddingModel] = {}
    for card in sorted(library.cards(), key=lambda card: not card.built_in):
        folder = library.folder(card.name)
        try:
            if card.kind is Kind.EMBEDDING:
                embedding[card.name] = EmbeddingModel(card, folder, cores=cores)
            else:
                chat[card.name] = ChatModel(card, folder, cores=cores)
        except (RuntimeError, ValueError, OSError) as error:  # what the engine raises for a damaged model
            say(
                f"{card.name} cannot be loaded and is left out: {error} (remove it with: aspendos local remove)"
            )
    return LocalWorker(
        chat,
        embedding,
        clock=time.time,
        new_id=lambda: uuid.uuid4().hex,
        engine=f"ctranslate2-{version('ctranslate2')}",
    )


def serve_local(host: str, port: int, data_dir: Path) -> None:
    """Run the embedded worker until it is told to stop (SIGINT, SIGTERM); blocks.

    Prints one line once the models are loaded; /health answers 200 right after. Where it cannot listen it says so
    before anything is loaded, and ends with the error's number (errno.EADDRINUSE) as its status.
    """
    listener = bound(host, port)
    began = time.perf_counter()
    worker = build_worker(data_dir, cores=os.cpu_count() or 1, say=_say)
    _say(f"models loaded in {time.perf_counter() - began:.2f} s; serving on http://{host}:{port}/v1")
    config = uvicorn.Config(
        worker,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen yet. Ends the process where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        _say(f"cannot listen on {host}:{port}: {'the port is taken' if taken else error.strerror or error}")
        raise SystemExit(errno.EADDRINUSE if taken else 1) from None
    return listener


def _say(line: str) -> None:
    print(f"local worker: {line}", file=sys.stderr, flush=True)
