"""Journal name: what a machine's journal is called among others that share a store. Refuses to change it."""

import os
import secrets
from pathlib import Path

_FILE = "name"


def journal_name(directory: Path) -> str:
    """The name kept in the journal's folder, given when it is first asked for. Raises OSError as the file system does.

    The same for every process on the folder, and after every restart.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / _FILE
    draft = directory / f"{_FILE}.{os.getpid()}-{secrets.token_hex(4)}"
    if not path.exists():
        draft.write_text(secrets.token_hex(8))
        try:
            os.link(draft, path)  # of several processes that start at once, one names it
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
