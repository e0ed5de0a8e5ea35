"""Figures: labels come from the catalogue alone, and codes of upstreams do not multiply series."""

from msgspec.structs import replace

from billing.usage import UsageRecord
from gateway.attempt import Attempt
from gateway.metrics import Metrics
from inference.ir.usage import NO_USAGE, UNCOMMON, Usage, uncommon


def ended(metrics: Metrics, status: int, usage: Usage = NO_USAGE) -> None:
    more = uncommon(usage)
    record = UsageRecord(
        id="req-1",
        at=1,
        route="chat",
        model="m",
        provider="p",
        status=status,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_nano=1_500_000_000,
        ttft_us=2_000,
        duration_us=30_000,
        overhead_us=150,
    )
    metrics.ended(replace(record, **(more or {})), more)


def test_a_request_moves_every_figure() -> None:
    metrics = Metrics()
    ended(metrics, 200, Usage(input_tokens=5, output_tokens=7, cache_read_tokens=2, reasoning_tokens=3))
    ended(metrics, 502)
    text = metrics.expose().decode()
    for line in (
        'aspendos_requests_total{model="m",provider="p",route="chat",status="200"} 1.0',
        'aspendos_requests_total{model="m",provider="p",route="chat",status="502"} 1.0',
        'aspendos_tokens_total{kind="output",model="m",provider="p"} 7.0',
        'aspendos_tokens_total{kind="cache_read",model="m",provider="p"} 2.0',
        'aspendos_tokens_total{kind="reasoning",model="m",provider="p"} 3.0',
        'aspendos_cost_usd_total{model="m",provider="p"} 3.0',
        'aspendos_request_duration_seconds_count{model="m",provider="p",route="chat"} 2.0',
        'aspendos_time_to_first_token_seconds_count{model="m",provider="p"} 2.0',
        'aspendos_overhead_seconds_bucket{le="0.00025",route="chat"} 2.0',
    ):
        assert line in text


def test_however_many_end_before_somebody_looks_each_is_counted_once() -> None:
    metrics = Metrics()
    for number in range(250):
        ended(metrics, 200 if number % 5 else 502, Usage(output_tokens=2))
    for _ in range(2):
        text = metrics.expose().decode()
        for line in (
            'aspendos_requests_total{model="m",provider="p",route="chat",status="200"} 200.0',
            'aspendos_requests_total{model="m",provider="p",route="chat",status="502"} 50.0',
            'aspendos_tokens_total{kind="output",model="m",provider="p"} 500.0',
            'aspendos_request_duration_seconds_count{model="m",provider="p",route="chat"} 250.0',
            'aspendos_request_duration_seconds_sum{model="m",provider="p",route="chat"} 7.5',
        ):
            assert line in text


def test_what_few_calls_have_has_series_only_where_it_came_up() -> None:
    metrics = Metrics()
    ended(metrics, 200, Usage(input_tokens=5, cache_write_tokens=4))
    before = metrics.expose().decode()
    assert 'aspendos_tokens_total{kind="cache_write",model="m",provider="p"} 4.0' in before
    assert 'kind="audio_input"' not in before
    assert 'kind="images"' not in before
    counts = dict.fromkeys(UNCOMMON, 3)
    for _ in range(2):
        ended(metrics, 200, replace(Usage(input_tokens=9, cache_write_tokens=4), **counts))
    text = metrics.expose().decode()
    for kind in ("cache_write_1h", "audio_input", "audio_output", "image_input", "image_output"):
        assert f'aspendos_tokens_total{{kind="{kind}",model="m",provider="p"}} 6.0' in text
    for kind, amount in (("characters", 6.0), ("audio_seconds", 0.006), ("images", 6.0), ("searches", 6.0)):
        assert f'aspendos_units_total{{kind="{kind}",model="m",provider="p"}} {amount}' in text
    assert 'aspendos_tokens_total{kind="cache_write",model="m",provider="p"} 12.0' in text
    assert metrics.expose().decode() == text


def test_an_upstreams_own_codes_do_not_become_labels() -> None:
    metrics = Metrics()
    codes = [*(f"their-code-{number}" for number in range(50)), "upstream_auth"]
    metrics.attempts_failed([Attempt(provider="p", deployment="d", code=code) for code in codes])
    text = metrics.expose().decode()
    assert 'aspendos_upstream_errors_total{code="upstream_refused",provider="p"} 50.0' in text
    assert 'aspendos_upstream_errors_total{code="upstream_auth",provider="p"} 1.0' in text
    assert "their-code" not in text
