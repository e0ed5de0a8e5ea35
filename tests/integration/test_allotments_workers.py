"""Shares of one database between the workers of one `aspendos serve --workers 2`, over HTTP."""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.harness import GatewayProcess, UpstreamThread, VirtualKey, catalogue


class Asking:
    """Clients of one gateway, each request on a connection of its own, so that all workers are asked."""

    def __init__(self, site: GatewayProcess, pool: ThreadPoolExecutor) -> None:
        self._site = site
        self._pool = pool
        self.wait_until = site.wait_until

    def team(self, *, tier: str | None = None, nano: int | None = None) -> VirtualKey:
        """A key of a new team."""
        key = self._site.new_key()
        changed = self._site.admin.patch(f"{self._site.url}/admin/v1/teams/{key.team}", json={"tier": tier})
        assert changed.status_code == 200, changed.text
        if nano is not None:
            path = f"{self._site.url}/admin/v1/credits/{key.team}"
            assert self._site.admin.put(path, json={}).status_code == 200
            grant = {"amount_nano": nano, "reference": secrets.token_hex(8)}
            assert self._site.admin.post(f"{path}/grants", json=grant).status_code == 201
        self.wait_until(lambda: self._known(key, tier=tier, paid=nano is not None))
        return key

    def _known(self, key: VirtualKey, *, tier: str | None, paid: bool) -> bool:
        """Whether every worker has read of it: new connections that come at one time go to any of them."""
        headers = {**key.bearer, "connection": "close"}
        path = f"{self._site.base_url}/account"
        asked = [self._pool.submit(self._site.http.get, path, headers=headers) for _ in range(12)]
        answers = [each.result() for each in asked]
        if {answer.status_code for answer in answers} != {200}:
            return False
        said = [answer.json() for answer in answers]
        workers = {answer.headers["x-request-id"][:-8] for answer in answers}
        facts = {(each["tier_name"], each["balance"] is not None) for each in said}
        return len(workers) == 2 and facts == {(tier, paid)}

    def held(self, key: VirtualKey) -> int:
        """What the books say its team's open requests hold, once they say that there are some."""
        found: list[int] = []

        def known() -> bool:
            answer = self._site.admin.get(f"{self._site.url}/admin/v1/credits/{key.team}")
            found.append(int(answer.json()["held_nano"]))
            return found[-1] > 0

        self._site.wait_until(known, seconds=20)
        return found[-1]

    def ask(self, key: VirtualKey, model: str, times: int) -> list[Future[int]]:
        """So many at once; what comes of each is its status."""
        return [self._pool.submit(self._one, key, model) for _ in range(times)]

    def _one(self, key: VirtualKey, model: str) -> int:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}
        headers = {**key.bearer, "connection": "close"}
        try:
            answer = self._site.http.post(
                f"{self._site.base_url}/chat/completions", json=body, headers=headers
            )
        except httpx.TransportError:
            return 0  # the gateway was killed
        return answer.status_code


@pytest.fixture
def asking(upstream: UpstreamThread, tmp_path: Path) -> Iterator[Asking]:
    """`aspendos serve --workers 2` with SQLite and no Redis."""
    given = catalogue(upstream.base_url)
    given["models"]["slow"]["max_output"] = 100  # it answers after 30 s
    given["tiers"] = {"twenty": {"requests": {"minute": 20}}}
    with (
        ThreadPoolExecutor(80) as pool,
        GatewayProcess(tmp_path, given, arguments=("--workers", "2")) as site,
    ):
        site.http = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=None))
        yield Asking(site, pool)
        site.kill9()


def test_two_workers_let_in_a_limit_once(asking: Asking) -> None:
    key = asking.team(tier="twenty")
    got = [each.result() for each in asking.ask(key, "free", 40)]
    until = time.monotonic() + 30
    while got.count(200) < 20:  # what one worker had drawn ahead and does not use comes back within its tick
        assert set(got) <= {200, 429}
        assert time.monotonic() < until, got
        time.sleep(0.5)
        got += [each.result() for each in asking.ask(key, "free", 5)]
    time.sleep(1.5)
    got += [each.result() for each in asking.ask(key, "free", 10)]
    assert got.count(200) == 20


def test_two_workers_hold_a_balance_once(asking: Asking) -> None:
    """Ten requests under way are all that it covers."""
    other = asking.team(nano=10**9)
    asking.ask(other, "slow", 1)
    most = asking.held(other)
    key = asking.team(nano=10 * most)
    requests = asking.ask(key, "slow", 20)
    for _ in range(3):
        time.sleep(1.5)
        requests += asking.ask(key, "slow", 8)
    asking.wait_until(
        lambda: sum(each.done() for each in requests) >= len(requests) - 10,
        instead=lambda: (
            [each.result() if each.done() else "open" for each in requests],
            asking.held(key) / most,
        ),
    )
    refused = [each.result() for each in requests if each.done()]
    assert refused == [402] * (len(requests) - 10)
    assert asking.held(key) == 10 * most


@pytest.mark.parametrize("on", ["sqlite", "postgres"])
def test_two_workers_serve_whatever_the_account_can_pay(
    upstream: UpstreamThread, tmp_path: Path, request: pytest.FixtureRequest, on: str
) -> None:
    """Most of what is left lies with the worker that was not asked, again and again, down to the last hold."""
    given = catalogue(upstream.base_url)
    given["models"]["slow"]["max_output"] = 100
    environment = (
        {} if on == "sqlite" else {"ASPENDOS_DATABASE_URL": request.getfixturevalue("postgres_database_url")}
    )
    with (
        ThreadPoolExecutor(20) as pool,
        GatewayProcess(tmp_path, given, arguments=("--workers", "2"), environment=environment) as site,
    ):
        site.http = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=None))
        asking = Asking(site, pool)
        rich = asking.team(nano=10**9)
        asking.ask(rich, "events-8", 1)[0].result()
        cost = site.record(rich).cost_nano
        holding = asking.team(nano=10**9)
        asking.ask(holding, "slow", 1)
        most = asking.held(holding)
        key = asking.team(nano=most + 9 * cost)
        got = [asking.ask(key, "events-8", 1)[0].result() for _ in range(14)]
        assert got == [200] * 10 + [402] * 4
        site.kill9()
