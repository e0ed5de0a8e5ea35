"""Overhead: what a request and a streamed event cost, for this gateway with everything on and for others.

    python -m loadtests.overhead            # the gateway, nginx where installed, and no server at all
    python -m loadtests.overhead --peers    # and every peer that installs, in the same run
    python -m loadtests.overhead --quick    # a tenth of the work, to see that it works: figures mean little

Every subject runs on one core, the upstream and the load on another. Rounds are interleaved (A B C, B C A,
...), so that a slow minute of the machine falls on all. docs/benchmarks.md tells the method.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtests import peers, report
from loadtests.figures import Figures, Results
from loadtests.load import Sample
from loadtests.process import NotStartedError, Process, free_port
from loadtests.subjects import HELD, PACED, PLAIN, ROOT, Direct, Gateway, Nginx, Subject, UnavailableError

EVENTS = 68
STREAM_SECONDS = (EVENTS - 1) * 0.005
AFTERMATH = 1.7
"""Seconds after a load within which what was put off (usage records, logs) is done: charged to the load that caused it,
and not to the next."""


class Plan(Struct, frozen=True, kw_only=True):
    """How much of everything; `slow` subjects get a twentieth of it and 3 paced streams at a time."""

    rounds: int = 5
    requests: int = 8000
    concurrency: int = 32
    bursts: int = 2000
    paced: int = 400
    paced_concurrency: int = 50
    low: int = 1000
    loaded_seconds: float = 8.0
    memory: tuple[int, ...] = (10_000, 100_000)
    held: int = 1000

    def scaled(self, count: int, subject: Subject) -> int:
        """The count for this subject."""
        return max(count // 20, 20) if subject.slow else count


QUICK = Plan(
    rounds=2,
    requests=1000,
    bursts=200,
    paced=100,
    low=200,
    loaded_seconds=2.0,
    memory=(1_000, 5_000),
    held=200,
)


class Bench:
    """One run: the cores, the upstream, the subjects that started, and what was found of each."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.plan = plan
        self.folder = folder
        self.subject_core, self.load_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
        self.upstream_port = free_port()
        self.upstream = f"http://127.0.0.1:{self.upstream_port}"
        self.direct = Direct(folder, self.upstream)
        self.running: list[Subject] = [self.direct]
        self.found = {"direct": Figures(name="direct", about=self.direct.about)}
        self.capacity: dict[str, float] = {}

    def start_upstream(self) -> Process:
        """The fake provider, on the load's core. Raises NotStartedError."""
        command = [sys.executable, "-m", "loadtests.upstream", "--port", str(self.upstream_port)]
        process = Process(command, core=self.load_core, log=self.folder / "upstream.log", folder=ROOT)
        process.wait_ready(f"{self.upstream}/health", 20)
        return process

    def start(self, kinds: list[type[Subject]]) -> None:
        """Install and start each; one that cannot is recorded with its reason and left out."""
        for kind in kinds:
            subject = kind(self.folder, self.upstream)
            figures = self.found[subject.name] = Figures(name=subject.name, about=subject.about)
            tell(f"starting {subject.name}")
            try:
                subject.install()
                subject.start(self.subject_core)
                self.load(subject, f"--requests {self.plan.scaled(1000, subject)} --concurrency 8", warm=True)
                self.load(subject, f"--requests 40 --stream --concurrency 4 --model {PACED}", warm=True)
            except (UnavailableError, NotStartedError, OSError) as error:
                figures.unavailable = str(error)
                tell(f"{subject.name}: not measured: {error}")
                subject.stop()
                continue
            except BaseException:
                subject.stop()
                raise
            if subject.process is not None:
                subject.process.halt()
                figures.cold_start = round(subject.cold_start, 2)
                figures.rss_idle = round(subject.process.rss(), 1)
            self.running.append(subject)

    def stop(self) -> None:
        """End every subject."""
        for subject in self.running:
            subject.stop()

    def load(self, subject: Subject, arguments: str, *, warm: bool = False) -> Sample:
        """Run the generator against a subject. Raises NotStartedError when it cannot be reached."""
        process = self.load_process(subject, arguments)
        out, err = process.communicate()
        if process.returncode:
            raise NotStartedError(f"{subject.name}: {err.strip()[-400:]}")
        sample = msgspec.json.decode(out, type=Sample)
        self.found[subject.name].answered += sample.requests
        if warm and not sample.requests:
            raise NotStartedError(f"{subject.name} answered nothing well: {sample.errors}")
        for why, count in sample.errors.items():
            errors = self.found[subject.name].errors
            errors[why] = errors.get(why, 0) + count
        return sample

    def load_process(self, subject: Subject, arguments: str) -> "subprocess.Popen[str]":
        """The generator, started on its core."""
        command = [sys.executable, "-m", "loadtests.load", "--url", subject.url, *arguments.split()]
        command += ["--key", subject.key] if subject.key else []
        for name, value in subject.headers.items():
            command += ["--header", f"{name}: {value}"]
        before = os.sched_getaffinity(0)
        if self.load_core is not None:
            os.sched_setaffinity(0, {self.load_core})
        try:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        finally:
            os.sched_setaffinity(0, before)

    def charged(self, subject: Subject, arguments: str) -> tuple[Sample, float]:
        """A load, and the CPU seconds the subject used for it (0 for none at all), its aftermath included."""
        before = subject.process.cpu() if subject.process else 0.0
        sample = self.load(subject, arguments)
        if subject.process is None:
            return sample, 0.0
        time.sleep(AFTERMATH)
        return sample, subject.process.cpu() - before

    def round(self, subject: Subject) -> None:
        """Every measure once, while all others are halted: what an idle one does now and then would cost this one."""
        with self.awake(subject):
            self._round(subject)

    @contextmanager
    def awake(self, subject: Subject) -> Generator[None]:
        """Let a subject run, and find its feet again, for that long."""
        if subject.process is None:
            yield
            return
        subject.process.go_on()
        try:
            self.load(
                subject, f"--requests {self.plan.scaled(self.plan.low, subject)} --concurrency 8", warm=True
            )
            time.sleep(AFTERMATH)
            yield
        finally:
            subject.process.halt()

    def _round(self, subject: Subject) -> None:
        figures = self.found[subject.name]
        self._saturated(subject, figures)
        if subject.translates:
            self._translated(subject, figures)
        self._streams(subject, figures)
        if subject is not self.direct:
            self._latencies(subject, figures)

    def _saturated(self, subject: Subject, figures: Figures) -> None:
        plan = self.plan
        count = plan.scaled(plan.requests, subject)
        sample, cpu = self.charged(
            subject, f"--requests {count} --concurrency {plan.concurrency} --model {PLAIN}"
        )
        if not sample.requests:
            return
        rps = sample.requests / sample.seconds
        self.capacity[subject.name] = rps
        figures.add("rps", rps)
        if subject.process is not None:
            figures.add("cpu_request", 1e6 * cpu / sample.requests)
            figures.busy.append(round(cpu / sample.seconds, 3))

    def _translated(self, subject: Subject, figures: Figures) -> None:
        """The same questions asked in a format that the upstream does not speak."""
        plan = self.plan
        load = f"--messages --requests {plan.requests} --concurrency {plan.concurrency} --model {PLAIN}"
        sample, cpu = self.charged(subject, load)
        if sample.requests:
            cost = 1e6 * cpu / sample.requests
            figures.add("cpu_translated", cost)
            figures.add("translated_ratio", cost / figures.rounds["cpu_request"][-1])
        load = f"--messages --stream --requests {plan.bursts} --concurrency 16 --model {PLAIN}"
        sample, cpu = self.charged(subject, load)
        if sample.requests:
            figures.add("cpu_translated_event", 1e6 * cpu / (sample.requests * EVENTS))

    def _streams(self, subject: Subject, figures: Figures) -> None:
        plan = self.plan
        count = plan.scaled(plan.bursts, subject)
        sample, cpu = self.charged(subject, f"--stream --requests {count} --concurrency 16 --model {PLAIN}")
        if subject.process is not None and sample.requests:
            figures.add("cpu_burst_event", 1e6 * cpu / (sample.requests * EVENTS))
        concurrency = 3 if subject.slow else plan.paced_concurrency
        paced = (
            f"--stream --requests {plan.scaled(plan.paced, subject)} --concurrency {concurrency} "
            f"--model {PACED} --ramp {STREAM_SECONDS}"
        )
        sample, cpu = self.charged(subject, paced)
        if sample.gap is not None:
            figures.add("gap_p99", sample.gap.p99)
        if subject.process is None or sample.first is None:
            return
        figures.add("cpu_paced_event", 1e6 * cpu / (sample.requests * EVENTS))
        straight = self.load(self.direct, paced)
        if straight.first is not None:
            figures.add("first_p50", sample.first.p50 - straight.first.p50)
            figures.add("first_p99", sample.first.p99 - straight.first.p99)

    def _latencies(self, subject: Subject, figures: Figures) -> None:
        """What it adds to the same load straight at the upstream, taken right after it."""
        plan = self.plan
        low = f"--requests {plan.scaled(plan.low, subject)} --concurrency 1 --model {PLAIN}"
        rate = max(0.3 * self.capacity.get(subject.name, 0.0), 1.0)
        loaded = f"--rate {rate:.1f} --seconds {plan.loaded_seconds} --model {PLAIN}"
        for name, arguments in (("low", low), ("loaded", loaded)):
            one, other = self.load(subject, arguments), self.load(self.direct, arguments)
            through, straight = one.latency, other.latency
            if through is not None and straight is not None:
                figures.add(f"added_{name}_p50", through.p50 - straight.p50)
                figures.add(f"added_{name}_p99", through.p99 - straight.p99)
            if one.second_p99 is not None and other.second_p99 is not None:
                figures.add("added_second_p99", one.second_p99 - other.second_p99)

    def memory(self, subject: Subject) -> None:
        """Resident memory after many requests, and while many streams are open."""
        if subject.process is None:
            return
        figures = self.found[subject.name]
        done = 0
        for total in self.plan.memory:
            self.load(subject, f"--requests {total - done} --concurrency {self.plan.concurrency}")
            done = total
            figures.rss_after[f"after {total:,} requests"] = round(subject.process.rss(), 1)
        held = self.plan.held
        process = self.load_process(
            subject, f"--stream --requests {held} --concurrency {held} --model {HELD} --ramp 4"
        )
        most = 0.0
        while process.poll() is None:
            most = max(most, subject.process.rss())
            time.sleep(0.2)
        sample = msgspec.json.decode(process.communicate()[0], type=Sample)
        figures.answered += sample.requests
        if sample.requests < held:
            figures.errors["held stream lost"] = held - sample.requests
        figures.rss_after[f"with {held:,} open streams"] = round(most, 1)


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def machine() -> dict[str, str]:
    """What the figures belong to."""
    text = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        "cpu": f"{len(models) or os.cpu_count()} x {models[0] if models else platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": f"{os.getloadavg()[0]:.2f}",
    }


def run(plan: Plan, kinds: list[type[Subject]], folder: Path, quick: bool) -> Results:
    """The whole benchmark. Raises NotStartedError when not even the upstream starts."""
    about = machine()
    bench = Bench(plan, folder)
    bench.direct.start(None)
    upstream = bench.start_upstream()
    try:
        bench.start(kinds)
        running = bench.running
        for number in range(plan.rounds):
            for subject in running[number % len(running) :] + running[: number % len(running)]:
                tell(f"round {number + 1} of {plan.rounds}: {subject.name}")
                bench.round(subject)
        for subject in running:
            if isinstance(subject, Gateway):
                tell(f"memory: {subject.name}")
                with bench.awake(subject):
                    bench.memory(subject)
            elif subject.process is not None:
                bench.found[subject.name].rss_after["after the rounds"] = round(subject.process.rss(), 1)
        for subject in running:
            if isinstance(subject, Gateway):
                subject.stop()
                bench.found[subject.name].recorded = subject.recorded()
    finally:
        bench.stop()
        upstream.stop()
    return Results(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        machine={**about, "load_average_after": f"{os.getloadavg()[0]:.2f}"},
        method=msgspec.structs.asdict(plan),
        subjects=list(bench.found.values()),
    )


def main() -> None:
    """Command line: measure, print the table, write JSON and a plot into results/."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.overhead", description="What the gateway costs."
    )
    parser.add_argument("--peers", action="store_true", help="also install and measure other gateways")
    parser.add_argument("--quick", action="store_true", help="small counts: does it work?")
    parser.add_argument("--only", help="comma-separated names of subjects")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (5)")
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("bench: needs Linux: it reads CPU time from /proc and binds processes to cores")
    kinds: list[type[Subject]] = [Gateway, Nginx, *(peers.ALL if given.peers else ())]
    if given.only:
        kinds = [kind for kind in (Gateway, Nginx, *peers.ALL) if kind.name in given.only.split(",")]
    plan = QUICK if given.quick else Plan()
    if given.rounds:
        plan = msgspec.structs.replace(plan, rounds=given.rounds)
    # Subjects live in sessions of their own: whatever ends this run must pass through `finally`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="aspendos-bench-"))
    try:
        results = run(plan, kinds, folder, given.quick)
    except (NotStartedError, UnavailableError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"overhead-{results.when.replace(':', '').replace('+0000', 'Z')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    report.plot(results, path.with_suffix(".png"))
    print(report.table(results))
    tell(f"wrote {path} and its plot")


if __name__ == "__main__":
    main()
