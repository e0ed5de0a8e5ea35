"""Which Python .venv is made of: the one that was started, or a quicker build of it that this machine has as well.

With a build that has no profile-guided optimisation, as version managers make unless they are told otherwise, a request
costs the gateway a fifth more (docs/benchmarks.md). Standard library only.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

MARGIN = 1.15
"""Another Python is taken where this one takes so many times as long."""
_ROUNDS = 8
"""Each is tried so often, in turn, and its best counts: other work on the machine slows some down, and not others."""
_PLACES = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where a machine keeps Pythons, whatever stands first in PATH."""
_WORK = """
import ctypes, sqlite3, ssl, venv  # without which a Python is of no use here
import json, sys, time

class Thing:
    def __init__(self, value):
        self.value = value
    def next(self, by):
        return Thing(self.value + by)

def work():
    thing, seen = Thing(0), {}
    for number in range(4000):
        thing = thing.next(number & 7)
        seen[thing.value & 255] = [thing, "%d" % number]

def once():
    began = time.thread_time()
    work()
    return time.thread_time() - began

best = min(once() for _ in range(25))
print(json.dumps([sys.implementation.name, list(sys.version_info[:3]), sys.base_prefix, best]))
"""


class Build:
    """One Python of this machine, tried out."""

    def __init__(self, path: str, version: tuple[int, int, int], home: str, seconds: float) -> None:
        self.path = path
        self.version = version
        self.home = home
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.path} ({'.'.join(map(str, self.version))})"


def tried(path: str) -> Build | None:
    """How it does a small piece of work; None where it cannot be used: not CPython, or without what we need."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _WORK],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            cwd="/",
        )
        name, version, home, seconds = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Build(path, (version[0], version[1], version[2]), home, seconds) if name == "cpython" else None


_WHICH = "import sys; print('%d.%d of %s' % (*sys.version_info[:2], sys.base_prefix))"


def which(path: str) -> str:
    """Version and place of a Python, or of the one that an environment was made of; nothing where it does not start."""
    command = [path, "-I", "-c", _WHICH]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def this() -> str:
    """The same of the Python that runs this."""
    return f"{sys.version_info[0]}.{sys.version_info[1]} of {sys.base_prefix}"


def said_to_be_optimised() -> bool:
    """Whether the Python that runs this was built with optimisation, by its own word; then no other is looked for."""
    return "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def others(path: str) -> list[str]:
    """The Pythons of the same minor version that stand elsewhere: a lock is tested with that of the machine's own."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folders = dict.fromkeys((*os.environ.get("PATH", "").split(os.pathsep), *_PLACES))
    found = (Path(folder) / name for folder in folders if folder)
    known = {Path(path).resolve()}
    fresh: list[str] = []
    for each in found:
        if each.is_file() and os.access(each, os.X_OK) and each.resolve() not in known:
            known.add(each.resolve())
            fresh.append(str(each))
    return fresh


def quickest(path: str) -> tuple[str, str]:
    """The Python to take instead of this one, and what is to be said of it: nothing where it is this one."""
    if said_to_be_optimised():
        return path, ""
    found: dict[str, Build] = {}
    for each in (path, *others(path)) * _ROUNDS:
        build = tried(each)
        if build is not None and (each not in found or build.seconds < found[each].seconds):
            found[each] = build
    if path not in found:
        return path, ""
    own, best = found[path], min(found.values(), key=lambda build: build.seconds)
    if own.seconds < best.seconds * MARGIN or own.home == best.home:
        return path, ""
    return best.path, (
        f"taking {best}: {own} was built without optimisation and takes {own.seconds / best.seconds:.1f} times as "
        "long. To have that one all the same, name it: PYTHON=..."
    )
