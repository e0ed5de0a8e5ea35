"""`aspendos local`: models of the embedded CPU worker; the work itself is done in inference.local."""

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.options import Json

app = App(name="local", help="Models of the embedded CPU worker.")

DataDir = Annotated[
    Path | None, Parameter(help="Where models are kept; by default $ASPENDOS_DATA_DIR, else .aspendos.")
]


@app.command
def add(
    source: Annotated[str, Parameter(help="A Hugging Face model folder, or a hub id such as owner/model.")],
    /,
    *,
    name: Annotated[
        str | None, Parameter(help="What to call it; by default the folder's name or the id.")
    ] = None,
    quantization: Annotated[
        str, Parameter(help="auto (int8 from 100 million parameters on), float32, float16, int16 or int8.")
    ] = "auto",
    data_dir: DataDir = None,
) -> int:
    """Convert a model for the embedded worker, which serves it from its next start.

    Models of the Llama, Mistral, Qwen2, Qwen3 and BERT families are converted as they are; for others an
    environment with torch is made first, once (up to 5 GB).
    HF_TOKEN, if set, is shown to the hub; HF_ENDPOINT names another hub.
    """
    from inference.local.add import add_model, yaml_lines
    from inference.local.hub import HUB
    from inference.local.refusals import LocalModelError

    try:
        card = add_model(
            source,
            data_dir=_data_dir(data_dir),
            name=name,
            quantization=quantization,
            say=_progress,
            hub=os.environ.get("HF_ENDPOINT") or HUB,
            token=os.environ.get("HF_TOKEN"),
        )
    except LocalModelError as error:
        return _fail(error)
    print(
        f"{card.name} is ready ({card.kind.value}, {card.parameters:,} parameters, context {card.context})."
    )
    print(
        "The embedded worker serves it from its next start. To offer it to clients, put this under `models:`"
    )
    print("in config/models.yaml, then run `aspendos check-config` and reload:\n")
    print(yaml_lines(card))
    return 0


@app.command(name="list")
def list_models(*, data_dir: DataDir = None, as_json: Json = False) -> int:
    """List the models that the embedded worker serves from its next start."""
    from inference.local.library import Library

    cards = Library(_data_dir(data_dir)).cards()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(cards), indent=2).decode())
        return 0
    if not cards:
        print("None yet: the built-in models are converted when the worker first starts.")
        return 0
    rows = [("NAME", "KIND", "PARAMETERS", "CONTEXT", "FROM")]
    rows += [(c.name, c.kind.value, f"{c.parameters:,}", str(c.context), c.source) for c in cards]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


@app.command
def remove(name: Annotated[str, Parameter(help="The model's name.")], /, *, data_dir: DataDir = None) -> int:
    """Delete a converted model. A built-in one comes back at the worker's next start."""
    from inference.local.library import Library
    from inference.local.refusals import LocalModelError

    try:
        Library(_data_dir(data_dir)).remove(name)
    except LocalModelError as error:
        return _fail(error)
    print(f"{name} is removed; a worker that is running serves it until it ends.")
    return 0


@app.command
def serve(
    *,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on.")] = 8081,
    data_dir: DataDir = None,
) -> None:
    """Run the embedded worker alone, in the foreground."""
    from inference.local.serve import serve_local

    serve_local(host, port, _data_dir(data_dir))


def _data_dir(given: Path | None) -> Path:
    return given or Path(os.environ.get("ASPENDOS_DATA_DIR") or ".aspendos")


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _fail(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1
