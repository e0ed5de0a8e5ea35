"""A real vLLM server's counters beside the answers it gave meanwhile: what its answers say is what it counted.

Reads the captures beside the project; says so and skips where they are not there.
"""

from pathlib import Path

import msgspec
import pytest

from billing.reconciliation.compare import Counted, Tally, Thresholds, compare
from billing.reconciliation.counters import Processed, between, read_counters
from inference.providers.openai.usage import read_usage

CAPTURES = Path(__file__).parents[3] / "shared" / "vllm" / "captures"
EXACT = Thresholds(share_bp=0, tokens=0)

pytestmark = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures at {CAPTURES}")


class _Answer(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")


_answer = msgspec.json.Decoder(_Answer)


def between_captures(before: str, after: str) -> tuple[Processed, list[Counted]]:
    """What the server counted from one capture of its metrics to another, and what its answers in between say.

    Without a first capture, since that server started.
    """
    last = read_counters((CAPTURES / f"{after}.txt").read_text())
    if before:
        first = read_counters((CAPTURES / f"{before}.txt").read_text())
    else:
        first = msgspec.structs.replace(last, prompt=dict.fromkeys(last.prompt, 0), generation={})
    calls = [msgspec.json.decode(line) for line in (CAPTURES / "index.jsonl").read_bytes().splitlines()]
    names = [name for name, *_ in calls]
    server = after.split("/", maxsplit=1)[0] + "/"
    begin = names.index(before or next(name for name in names if name.startswith(server)))
    answers: list[Counted] = []
    for name, _, status, kind, _, _ in calls[begin : names.index(after)]:
        if status == 200 and kind == "json":
            usage = read_usage(_answer.decode((CAPTURES / f"{name}.json").read_bytes()).usage)
            tally = Tally(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
            answers.append(Counted(model=next(iter(last.prompt)), tally=tally))
    return between(first, last), answers


@pytest.mark.parametrize(
    ("before", "after", "given", "made"),
    [
        ("generate/metrics_with_lora", "generate/metrics_after", 12, 8),
        ("sleep/metrics2", "sleep/metrics_asleep_2", 8, 2),
        ("", "pooling/metrics", 137, 0),
        ("", "minilm/metrics", 158, 0),
    ],
)
def test_answers_and_counters_agree_to_the_token(before: str, after: str, given: int, made: int) -> None:
    processed, answers = between_captures(before, after)
    assert not processed.restarted
    assert sum(one.tally.input_tokens for one in processed.counted) == given
    assert sum(one.tally.output_tokens for one in processed.counted) == made
    found = compare(answers, processed.counted, EXACT)
    assert found.total.alarm == ()


def test_a_look_while_something_runs_is_not_exact_and_says_so() -> None:
    """The first look fell into a burst: what was generated before it belongs to answers that ended after it."""
    processed, answers = between_captures("plain/metrics_queue", "plain/metrics_after_abort")
    assert processed.busy > 0
    found = compare(answers, processed.counted, EXACT)
    assert found.total.output_drift > 0
    assert found.total.alarm == ("input_tokens", "output_tokens")


def test_answers_that_are_not_in_the_records_are_noticed() -> None:
    processed, answers = between_captures("", "pooling/metrics")
    assert compare(answers[:-1], processed.counted, EXACT).alarm


def test_two_servers_are_not_one_that_went_on() -> None:
    one = read_counters((CAPTURES / "generate" / "metrics_after.txt").read_text())
    other = read_counters((CAPTURES / "plain" / "metrics_after_abort.txt").read_text())
    assert between(one, other).restarted
