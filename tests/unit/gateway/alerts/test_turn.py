"""A turn is one process's at a time, and free again when that one is gone."""

import subprocess
import sys
from pathlib import Path

from gateway.alerts.turn import Turn

_TAKE = """
import sys
from pathlib import Path
from gateway.alerts.turn import Turn
turn = Turn(Path(sys.argv[1]))
print(turn(), flush=True)
sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = Turn(tmp_path / "new" / "lock"), Turn(tmp_path / "new" / "lock")
    assert first()
    assert first()
    assert not second()
    first.release()
    assert second()
    assert not first()
    second.release()


def test_a_killed_process_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", _TAKE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        mine = Turn(path)
        assert not mine()
        process.kill()
        process.wait()
        assert mine()
        mine.release()
