"""What the set-up says of a step that failed and is done in another way."""

import sys

import pytest

from tools.setup import Progress, reason

AWAY = """error: Request failed after 3 retries in 11.3s
  cause: Failed to fetch: http://127.0.0.1:9/simple/six/
  cause: tcp connect error
"""


def test_the_reason_is_one_line() -> None:
    assert reason(AWAY) == "uv could not reach the package index"
    assert reason("warning: x\nerror: no such lock\n") == "uv failed (error: no such lock)"
    assert reason("") == "uv failed (it said nothing of why)"


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ("trying pip", "packages: uv could not reach the package index; trying pip, "),
        ("", "packages: failed, "),
    ],
)
def test_a_step_that_failed_says_why_and_what_follows(
    otherwise: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"print({AWAY!r}); raise SystemExit(2)"
    progress = Progress()
    assert not progress.run("packages", [sys.executable, "-c", script], optional=True, otherwise=otherwise)
    assert words in capsys.readouterr().err
