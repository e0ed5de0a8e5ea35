"""How an end is told; the supervisor itself is driven with processes, in tests/integration/test_server_processes.py."""

import pytest

from gateway.edge.workers import ended


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "status 0"),
        (3, "status 3"),
        (-9, "signal 9 (SIGKILL)"),
        (-40, "signal 40"),
        (None, "nobody knows how"),
    ],
)
def test_the_end_of_a_process_in_words(code: int | None, words: str) -> None:
    assert ended(code) == words
