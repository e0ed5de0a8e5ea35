"""`python -m inference.local`: the embedded worker as a process of its own."""

import argparse
import os
import signal
import threading
from pathlib import Path


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m inference.local", description="The embedded CPU worker.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("ASPENDOS_DATA_DIR", ".aspendos")),
        help="where converted models are kept (default: $ASPENDOS_DATA_DIR, else .aspendos)",
    )
    parser.add_argument(
        "--with-parent",
        action="store_true",
        help="end when standard input closes, so that it never outlives the process that started it",
    )
    options = parser.parse_args()
    if options.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True, name="with-parent").start()
    from inference.local.serve import serve_local  # so that --help needs no engine

    serve_local(options.host, options.port, options.data_dir)


def _end_with_parent() -> None:
    # Not by sys.stdin: its lock, held here, would abort an interpreter that ends for another reason.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
