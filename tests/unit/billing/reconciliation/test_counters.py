"""vLLM's counters: read from its own text, subtracted, and doubted where they should be."""

import pytest

from billing.reconciliation.counters import Look, between, read_counters
from inference.ir.errors import InvalidField


def metrics(prompt: int, generation: int, *, born: float = 1.5e9, busy: int = 0, engine: str = "0") -> str:
    labels = f'engine="{engine}",model_name="qwen"'
    return (
        "# HELP vllm:prompt_tokens_total Number of prefill tokens processed.\n"
        "# TYPE vllm:prompt_tokens_total counter\n"
        f"vllm:prompt_tokens_total{{{labels}}} {float(prompt)}\n"
        f"vllm:prompt_tokens_created{{{labels}}} {born!r}\n"
        f'vllm:prompt_tokens_by_source_total{{{labels},source="local_compute"}} 9.0\n'
        f"vllm:generation_tokens_total{{{labels}}} {float(generation)}\n"
        f"vllm:num_requests_running{{{labels}}} {float(busy)}\n"
        f"vllm:num_requests_waiting{{{labels}}} 0.0\n"
    )


def look(*args: int, **fields: object) -> Look:
    return read_counters(metrics(*args, **fields))  # pyright: ignore[reportArgumentType] - as the test writes them


def test_what_was_processed_between_two_looks() -> None:
    found = between(look(100, 50), look(1_100, 70))
    [counted] = found.counted
    assert (counted.model, counted.tally.input_tokens, counted.tally.output_tokens) == ("qwen", 1000, 20)
    assert (found.busy, found.restarted) == (0, False)


def test_engines_of_one_server_are_added_up() -> None:
    both = read_counters(metrics(10, 1) + metrics(5, 2, engine="1"))
    assert (both.prompt, both.generation) == ({"qwen": 15}, {"qwen": 3})


def test_large_counts_in_floats_clothes() -> None:
    text = 'vllm:prompt_tokens_total{model_name="m"} 1.23456789e+08\n'
    assert read_counters(text).prompt == {"m": 123_456_789}


def test_names_with_quotes_and_slashes() -> None:
    text = 'vllm:generation_tokens_total{engine="0",model_name="org/a \\"b\\""} 3.0 1700000000000\n'
    assert read_counters(text).generation == {'org/a "b"': 3}


@pytest.mark.parametrize("after", [look(99, 50), look(100, 49), look(200, 90, born=1.6e9)])
def test_a_server_that_began_anew(after: Look) -> None:
    found = between(look(100, 50), after)
    assert found.restarted
    assert found.counted[0].tally.input_tokens == after.prompt["qwen"]


def test_requests_under_way_are_counted_at_both_ends() -> None:
    assert between(look(1, 1, busy=2), look(2, 2, busy=3)).busy == 5


def test_a_model_that_came_later() -> None:
    later = read_counters(metrics(100, 50) + 'vllm:prompt_tokens_total{model_name="new"} 7.0\n')
    found = between(look(100, 50), later)
    assert not found.restarted
    assert {one.model: one.tally.input_tokens for one in found.counted} == {"qwen": 0, "new": 7}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no vllm:prompt_tokens_total"),
        ("<html>not found</html>", "no vLLM server's"),
        ('vllm:prompt_tokens_total{model_name="m"} NaN\n', "counts nothing"),
        ('vllm:prompt_tokens_total{model_name="m"} -1.0\n', "counts nothing"),
        ('vllm:prompt_tokens_total{model_name="m"} 1e300\n', "counts nothing"),
    ],
)
def test_what_is_no_count(text: str, words: str) -> None:
    with pytest.raises(InvalidField, match=words):
        read_counters(text)
