"""A wall clock that a test sets, for whole processes: what the C library says the time is, not what Python makes of it.

Only the wall clock is set; monotonic clocks run on, as when an operator or NTP steps it. A library of a few lines is
put before the C library's. Needs a C compiler and Linux; skips visibly without.
"""

import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *ahead;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("STEPPED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seen = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) ahead = seen;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, which, now);
    if (!failed && ahead && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
"""


class SteppedClock:
    """Its files are in `folder`. Processes started with `environment` have its time. Skips where that cannot be."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None or sys.platform != "linux":
            pytest.skip("a process' clock cannot be set here: it takes Linux and a C compiler")
        library = folder / "stepped_clock.so"
        source = folder / "stepped_clock.c"
        source.write_text(_SOURCE)
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)],
            check=True,
            capture_output=True,
        )
        place = folder / "ahead"
        place.write_bytes(bytes(8))
        with place.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(place)}

    def step(self, seconds: int) -> None:
        """Now it is so many seconds ahead of the true time; below 0: behind."""
        struct.pack_into("@l", self._ahead, 0, seconds)

    def check(self) -> None:
        """That it really sets a process' clock; skips where it does not (a statically linked Python)."""
        self.step(86_400)
        words = [sys.executable, "-S", "-c", "import time; print(time.time())"]
        told = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True
        )
        true = subprocess.run(words, capture_output=True, text=True, check=True)
        self.step(0)
        if float(told.stdout) - float(true.stdout) < 80_000:
            pytest.skip("a process' clock cannot be set here: its C library is not asked")
