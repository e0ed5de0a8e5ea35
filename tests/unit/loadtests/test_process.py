import sys
import time
from pathlib import Path

from loadtests.process import Process


def test_what_a_process_and_its_children_use_is_told_to_less_than_a_tick(tmp_path: Path) -> None:
    burn = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    keep = "import sys, time; sys.stdout.flush(); time.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])\n{burn}{keep}"
    process = Process([sys.executable, "-c", script], core=None, log=tmp_path / "log")
    try:
        used = 0.0
        for _ in range(2000):
            used = process.cpu()
            if used > 0.4 and process.cpu() == used:
                break
            time.sleep(0.01)
        assert used > 0.4, "0.2 s of its own, and 0.2 s of the child that ended"
        assert used < 10.0
    finally:
        process.stop()


def test_a_process_that_is_halted_uses_nothing_until_it_goes_on(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "while True: pass"], core=None, log=tmp_path / "log")
    try:
        while not process.cpu():
            time.sleep(0.01)
        process.halt()
        time.sleep(0.05)
        used = process.cpu()
        time.sleep(0.2)
        assert process.cpu() == used
        process.go_on()
        while process.cpu() == used:
            time.sleep(0.01)
        process.halt()
    finally:
        process.stop()
    assert not process.alive
