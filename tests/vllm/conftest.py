"""The real-vLLM stage: two vLLM servers on the CPU behind a real gateway, driven by the official SDK.

The servers are the slow part (about a minute, 2.9 GB each), so there are two for the whole stage, started
side by side. Where vLLM cannot be installed the stage skips and the last lines of the run say why.
"""

import json
from collections.abc import Generator
from pathlib import Path

import openai
import pytest

from tests.vllm.gateway import ROOT, Gateway
from tests.vllm.worker import SERVED_AS, Worker
from tools.vllm_env import ImpossibleError, ensure

MODEL = ROOT / "inference" / "local" / "models" / "aspendos-tiny"
START_SECONDS = 300
_SKIPPED = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def vllm_python(request: pytest.FixtureRequest) -> Path:
    """The Python of vLLM's own environment, installed now if need be; skips where that is impossible."""
    reporter: object = request.config.pluginmanager.getplugin("terminalreporter")

    def say(line: str) -> None:
        if isinstance(reporter, pytest.TerminalReporter):
            reporter.write_line(f"vllm: {line}")

    try:
        return ensure(say)
    except ImpossibleError as reason:
        request.config.stash[_SKIPPED] = str(reason)
        pytest.skip(f"vLLM cannot be installed here: {reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever comes first waits for an installation and two servers."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1500))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line nobody can miss, when the stage did not run."""
    reason = terminalreporter.config.stash.get(_SKIPPED, None)
    if reason is not None:
        line = f"SKIPPED: the real-vLLM stage did not run, vLLM cannot be installed here: {reason}"
        terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.fixture(scope="session")
def starting(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Worker, Worker]]:
    """Two vLLM servers on their way up, with the small model."""
    folder = tmp_path_factory.mktemp("vllm")
    pair = (
        Worker(vllm_python, MODEL, folder / "first.log"),
        Worker(vllm_python, MODEL, folder / "second.log"),
    )
    try:
        yield pair
    finally:
        for worker in pair:
            worker.kill()


@pytest.fixture(scope="session")
def gateway(starting: tuple[Worker, Worker], tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    """A gateway process in front of both workers; it is up long before they are."""
    first, second = starting
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), first.address, second.address)
    try:
        gateway.wait_until_up("/health/ready", 60)
        yield gateway
    finally:
        gateway.kill()


@pytest.fixture(scope="session")
def workers(starting: tuple[Worker, Worker], gateway: Gateway) -> tuple[Worker, Worker]:
    """Both servers, up and warm. The last tests of the stage may kill them."""
    for worker in starting:
        worker.wait_until_up("/health", START_SECONDS)
        with openai.OpenAI(base_url=f"{worker.address}/v1", api_key="none", max_retries=0) as direct:
            direct.completions.create(model=SERVED_AS, prompt="warm", max_tokens=2, timeout=120)
    return starting


@pytest.fixture(scope="session")
def client(gateway: Gateway, workers: tuple[Worker, Worker]) -> Generator[openai.OpenAI]:
    """The official SDK, pointed at the gateway with a virtual key, without retries of its own."""
    key = gateway.new_key()
    with openai.OpenAI(base_url=f"{gateway.address}/v1", api_key=key, max_retries=0, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def no_blanks() -> dict[str, int]:
    """`logit_bias` against tokens of white space only.

    Between JSON's words white space without end is allowed, and a model of this size may well go for it.
    """
    tokens: dict[str, int] = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    # How byte-level BPE writes tab, line feed, carriage return and space.
    blank = frozenset("ĉĊčĠ")
    return {str(number): -100 for token, number in tokens.items() if set(token) <= blank}
