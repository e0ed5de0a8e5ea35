"""The list of settings, and what becomes of output nobody reads."""

import subprocess
import sys

from gateway.settings import READERS
from tests.harness import ROOT


def test_every_setting_is_listed() -> None:
    command = [sys.executable, "-m", "gateway.cli", "env"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in made.stdout.splitlines() if line} >= READERS.keys()


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "gateway.cli", "env"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0
