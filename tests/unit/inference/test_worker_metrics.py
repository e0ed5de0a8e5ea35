"""A worker's /metrics, fetched with the operator's headers over the calls' own transport."""

import pytest

from inference.ir.cards import Provider, Timeouts
from inference.ir.errors import UpstreamError, UpstreamFailed
from inference.transport import Transport
from inference.worker_metrics import WorkerMetrics
from loadtests import upstream
from tests.harness import free_port


def fleet(url: str) -> Provider:
    return Provider(name="fleet", wire="vllm", base_urls=(url,), key="sk-operators")


async def test_the_text_as_it_is() -> None:
    transport, server = Transport(), await upstream.start(key="sk-operators")
    try:
        text = await WorkerMetrics(transport).fetch(fleet(server.origin), server.origin)
    finally:
        await transport.close()
        await server.close()
    assert "vllm:num_requests_running" in text
    assert server.exchanges[-1].target == "/metrics"


async def test_what_is_no_answer() -> None:
    transport, server = Transport(), await upstream.start(key="another")
    metrics = WorkerMetrics(transport, Timeouts(connect=1, first_byte=1, idle=1, total=2))
    try:
        with pytest.raises(UpstreamFailed, match="A worker of `fleet` answered /metrics with status 401"):
            await metrics.fetch(fleet(server.origin), server.origin)
        with pytest.raises(UpstreamError):
            gone = f"http://127.0.0.1:{free_port()}"
            await metrics.fetch(fleet(gone), gone)
    finally:
        await transport.close()
        await server.close()
