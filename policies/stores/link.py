"""Link: the standing connection to Redis and the generation it is in. Refuses to know what is counted.

A Redis that restarts or is emptied begins a new *generation*. Every question names the generation it believes
in, and one that believes in another is answered `gen`, with nothing done: the link then ends, and begins anew.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from msgspec import Struct

from inference.ir.errors import Unavailable
from policies.stores import scripts
from policies.stores.line import Line, ReplyError, connect, pack
from policies.stores.scripts import Script
from policies.stores.window import MICROSECONDS

_UNFIT = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH")
_FIRST_PAUSE = 0.05


class Timing(Struct, frozen=True, kw_only=True):
    """Seconds. `lease`: a process silent for so long is dead. `answer`: a later one counts as none.

    `grace`: for so long a new generation lends no money, so that every process can bring its journal to the
    ledger first. `drained`: for so long a settlement may take to reach the ledger. `marked`: for so long a
    settled request is remembered. `mercy`: a hold is reclaimed so long after its lease.
    """

    lease: float = 60.0
    answer: float = 0.25
    connect: float = 0.5
    beat: float = 1.0
    grace: float = 2.0
    drained: float = 2.0
    marked: float = 300.0
    mercy: float = 10.0


class Tenant(Protocol):
    """What lives on the link."""

    async def renew(self) -> None:
        """Prolong the leases of what is open."""
        ...

    async def moved(self, line: Line, born: float) -> None:
        """A generation this process has not told anything, born at `born` by the loop's clock."""
        ...

    def arrived(self) -> None:
        """The link can be used, again."""
        ...


class Link:
    """Asks scripts. `names` gives a fresh 16-character name for a generation; `clock`, for tests alone, replaces
    Redis' own (microseconds)."""

    def __init__(
        self,
        url: str,
        generation_key: bytes,
        timing: Timing,
        names: Callable[[], str],
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._url = url
        self._key = generation_key
        self._timing = timing
        self._names = names
        self._clock = clock
        self._generation = b""
        self._why = "no connection was made yet"
        self._up = asyncio.Event()
        self._line: Line | None = None
        self.arrivals = 0
        """How often it became usable; the same number all through an outage."""
        self.on_state: Callable[[str | None], None] | None = None
        """Told None when Redis is there, and why when it no longer is."""

    @property
    def line(self) -> Line | None:
        """The connection, while it can be used."""
        return None if self._line is None or self._line.lost.done() else self._line

    @property
    def away(self) -> str | None:
        """Why Redis cannot be used now; None when it can."""
        if self._line is None:
            return self._why
        return self._line.lost.result() if self._line.lost.done() else None

    async def ready(self, within: float) -> None:
        """Returns when Redis can be used. Raises Unavailable after `within` seconds. `run` must be running."""
        try:
            async with asyncio.timeout(within):
                while self.line is None:
                    self._up.clear()
                    await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"Redis is away: {self.away}") from None

    def command(self, script: Script, keys: Sequence[bytes], words: Iterable[bytes], *, whole: bool) -> bytes:
        """The packed question; `whole`: with the script's source, for a Redis that has forgotten it."""
        how = (b"EVAL", script.source) if whole else (b"EVALSHA", script.sha)
        count = b"%d" % (1 + len(keys))
        return pack(*how, count, self._key, *keys, self._generation, self._now(), *words)

    async def ask(self, script: Script, keys: Sequence[bytes], *words: bytes) -> list[Any]:
        """One question and its answer. Raises Unavailable; LineLost where it may have been done or not."""
        line = self.line
        if line is None:
            raise Unavailable(f"Redis is away: {self.away}")
        reply = await line.ask(self.command(script, keys, words, whole=False))
        if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
            reply = await line.ask(self.command(script, keys, words, whole=True))
        self.check(line, reply)
        return sound(reply)

    def check(self, line: Line, reply: Any) -> bool:
        """Whether an answer is of the generation we know, and from a Redis that serves; else `line` is ended."""
        if isinstance(reply, ReplyError):
            if str(reply).startswith(_UNFIT):
                line.close(str(reply))
            return False
        if reply[0] == b"gen":
            line.close("it has lost what it knew")
            return False
        return True

    async def run(self, tenant: Tenant) -> None:
        """Keep the connection and the leases going, for ever."""
        pause = _FIRST_PAUSE
        while True:
            line = None
            try:
                timing = self._timing
                line = await connect(self._url, timeout=timing.answer, connect_timeout=timing.connect)
                await self._greet(line, tenant)
                self._line = line
                self.arrivals += 1
                self._up.set()
                if self.on_state is not None:
                    self.on_state(None)
                tenant.arrived()
                pause = _FIRST_PAUSE
                await self._tend(line, tenant)
            except Unavailable as error:
                self._why = error.message.removeprefix("Redis is away: ")
            finally:
                self._leave(line)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.beat)

    def _leave(self, line: Line | None) -> None:
        if line is not None:
            line.close()
        if self._line is not None:
            self._line = None
            self._up.clear()
            if self.on_state is not None:
                self.on_state(self._why)

    async def _tend(self, line: Line, tenant: Tenant) -> None:
        """Beat until the line is lost; at every third part of a lease, renew. Raises Unavailable when it is."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not line.lost.done():
            if loop.time() >= due:
                await tenant.renew()
                due = loop.time() + self._timing.lease / 3
            else:
                await self.ask(scripts.READ, (self._key + b":none",))
            await asyncio.wait([line.lost], timeout=min(self._timing.beat, max(due - loop.time(), 0.001)))
        raise Unavailable(f"Redis is away: {line.lost.result()}")

    async def _greet(self, line: Line, tenant: Tenant) -> None:
        """Teach the scripts and learn the generation; a new one learns what it lacks. Raises Unavailable."""
        for script in scripts.ALL:
            sound(await line.ask(pack(b"SCRIPT", b"LOAD", script.source)))
        run = _run_id(sound(await line.ask(pack(b"INFO", b"server"))))
        words = (run, self._names().encode(), self._now(), self._generation)
        greeting = pack(b"EVALSHA", scripts.GREET.sha, b"1", self._key, *words)
        generation, age = sound(await line.ask(greeting))
        if generation != self._generation:
            known, self._generation = self._generation, generation
            try:
                await tenant.moved(line, asyncio.get_running_loop().time() - age / MICROSECONDS)
            except BaseException:
                self._generation = known  # not all of it is told: begin again
                raise

    def _now(self) -> bytes:
        return b"" if self._clock is None else b"%d" % self._clock()


def sound(reply: Any) -> Any:
    """An answer that is no error and no `gen`. Raises Unavailable."""
    if isinstance(reply, ReplyError):
        raise Unavailable(f"Redis is away: it answered {reply}")
    if isinstance(reply, list) and cast("list[Any]", reply)[:1] == [b"gen"]:
        raise Unavailable("Redis is away: it has lost what it knew")
    return cast("Any", reply)


def _run_id(info: bytes) -> bytes:
    """Which run of the server this is, from INFO."""
    for line in info.splitlines():
        if line.startswith(b"run_id:"):
            return line[len(b"run_id:") :].strip()
    raise Unavailable("Redis is away: it does not say which run it is")
