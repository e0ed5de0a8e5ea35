"""Credit and limits as a client meets them: the official SDK through a real gateway, and the books afterwards."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.harness import (
    INPUT_NANO,
    OUTPUT_NANO,
    PRICE,
    ROOT,
    GatewayProcess,
    UpstreamThread,
    VirtualKey,
    catalogue,
)

PROMPT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


def priced(base_url: str) -> dict[str, Any]:
    """The shared catalogue, with tiers and a model whose answers are at most 100 tokens."""
    given = catalogue(base_url)
    target = [{"provider": "fake", "model": "events-8"}]
    given["models"] |= {
        "small": {"kind": "chat", "price": PRICE, "max_output": 100, "targets": target},
        "twice": {
            "kind": "chat",
            "price": PRICE,
            "max_output": 100,
            "context_window": 2000,
            "targets": target,
        },
        "drained": {
            "kind": "chat",
            "price": PRICE,
            "disconnect": "drain",
            "targets": [{"provider": "fake", "model": "events-20+paced-20ms"}],
        },
        "costly": {
            "kind": "chat",
            "price": PRICE,
            "max_output": 100,
            "targets": [{"provider": "fake", "model": "events-8", "cost": {"input": 0.1, "output": 1}}],
        },
    }
    given["tiers"] = {
        "thrice": {"requests": {"minute": 3}},
        "single": {"parallel": 1},
        "kind": {"when_empty": {"model": "free"}},
        "local-only": {"models": ["free"]},
        "monthly": {"credits_per_month": 50},
    }
    return given


@pytest.fixture(scope="module")
def site(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("credit"), priced(upstream.base_url)) as running, _OPEN:
        yield running


_OPEN = ExitStack()


def client(site: GatewayProcess, key: VirtualKey) -> openai.OpenAI:
    """The official SDK; closed with the module."""
    return _OPEN.enter_context(openai.OpenAI(base_url=site.base_url, api_key=key.text, max_retries=0))


def tiered(site: GatewayProcess, tier: str | None) -> VirtualKey:
    """A key of a new team with this tier."""
    key = site.new_key()
    answer = site.admin.patch(f"{site.url}/admin/v1/teams/{key.team}", json={"tier": tier})
    assert answer.status_code == 200, answer.text
    in_force(site, key, "tier", tier)
    return key


def funded(site: GatewayProcess, key: VirtualKey, nano: int) -> None:
    """The key's team pays from an account with so much in it."""
    path = f"{site.url}/admin/v1/credits/{key.team}"
    opened = site.admin.put(path, json={})
    assert opened.status_code == 200, opened.text
    if nano:
        given = site.admin.post(
            f"{path}/grants", json={"amount_nano": nano, "reference": os.urandom(6).hex()}
        )
        assert given.status_code == 201, given.text
    site.wait_until(lambda: account(site, key)["balance"] is not None)


def account(site: GatewayProcess, key: VirtualKey) -> dict[str, Any]:
    """GET /v1/account, as the key's holder sees it."""
    answer = site.http.get(f"{site.base_url}/account", headers=key.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_force(site: GatewayProcess, key: VirtualKey, field: str, value: object) -> None:
    def seen() -> bool:
        found: Any = account(site, key)[field]
        return bool((found["name"] if found else found) == value)

    site.wait_until(seen)


def balance(site: GatewayProcess, key: VirtualKey) -> dict[str, Any]:
    """The account in the books, the journal drained."""
    answer = site.admin.get(f"{site.url}/admin/v1/credits/{key.team}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_request_is_paid_for_and_says_what_is_left(site: GatewayProcess) -> None:
    key = tiered(site, None)
    funded(site, key, 10_000_000)
    answer = client(site, key).chat.completions.with_raw_response.create(model="small", messages=PROMPT)
    usage = answer.parse().usage
    assert usage is not None
    cost = usage.prompt_tokens * INPUT_NANO + usage.completion_tokens * OUTPUT_NANO
    left = (10_000_000 - cost) / 10_000_000
    assert float(answer.headers["x-aspendos-credits-remaining"]) == pytest.approx(left)
    assert balance(site, key)["available_nano"] == 10_000_000 - cost
    assert site.record(key).cost_nano == cost


def test_an_empty_account_is_402_with_what_is_missing_and_free_models_go_on(site: GatewayProcess) -> None:
    key = tiered(site, None)
    funded(site, key, 0)
    with pytest.raises(openai.APIStatusError) as caught:
        client(site, key).chat.completions.create(model="small", messages=PROMPT)
    assert caught.value.status_code == 402
    assert caught.value.code == "insufficient_credits"
    assert key.team in caught.value.message
    answer = client(site, key).chat.completions.create(model="free", messages=PROMPT)
    assert answer.choices[0].finish_reason == "stop"
    rows = site.usage(key=key.id)
    assert [row.cost_nano for row in rows] == [0] * len(rows)


def test_a_tier_may_answer_with_a_free_model_instead(site: GatewayProcess) -> None:
    key = tiered(site, "kind")
    funded(site, key, 0)
    answer = client(site, key).chat.completions.with_raw_response.create(model="small", messages=PROMPT)
    assert answer.headers["x-aspendos-model"] == "free"


def test_exactly_as_many_as_the_balance_covers_are_served(site: GatewayProcess) -> None:
    key = tiered(site, None)
    # `twice` has a small context: a prompt can cost 2,000 tokens at most, an answer 100.
    most = 2_000 * INPUT_NANO + 100 * OUTPUT_NANO
    funded(site, key, 5 * most)

    def ask(_: int) -> int:
        answer = site.http.post(
            f"{site.base_url}/chat/completions",
            json={"model": "twice", "messages": [{"role": "user", "content": "x" * 9000}], "max_tokens": 100},
            headers=key.bearer,
        )
        return answer.status_code

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, range(24)))
    assert set(found) <= {200, 402}
    spent = sum(row.cost_nano for row in site.usage(key=key.id))
    assert 0 <= 5 * most - spent == balance(site, key)["available_nano"]
    assert found.count(200) >= 5


def test_a_fourth_request_in_a_minute_waits_and_headers_say_so(site: GatewayProcess) -> None:
    key = tiered(site, "thrice")
    asking = client(site, key)
    left: list[str] = []
    for _ in range(3):
        answer = asking.chat.completions.with_raw_response.create(model="small", messages=PROMPT)
        left.append(answer.headers["x-ratelimit-remaining-requests"])
    assert left == ["2", "1", "0"]
    with pytest.raises(openai.RateLimitError) as caught:
        asking.chat.completions.create(model="small", messages=PROMPT)
    assert 50 <= int(caught.value.response.headers["retry-after"]) <= 62
    assert caught.value.response.headers["x-ratelimit-limit-requests"] == "3"
    assert "limit of 3 requests a minute (tier thrice)" in caught.value.message


def test_anthropics_clients_are_told_in_their_own_words(site: GatewayProcess) -> None:
    key = tiered(site, "thrice")
    asked = {"model": "small", "max_tokens": 20, "messages": PROMPT}
    answers = [
        httpx.post(f"{site.url}/v1/messages", json=asked, headers={"x-api-key": key.text}) for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    for answer, left in zip(answers, "2100", strict=True):
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == left
        assert answer.headers["x-ratelimit-remaining-requests"] == left
        assert answer.headers["anthropic-ratelimit-requests-limit"] == "3"
        full = datetime.fromisoformat(answer.headers["anthropic-ratelimit-requests-reset"])
        assert -5 <= (full - datetime.now(UTC)).total_seconds() <= 63
    assert answers[-1].json()["error"]["type"] == "rate_limit_error"
    assert 50 <= int(answers[-1].headers["retry-after"]) <= 62


def test_one_at_a_time_frees_its_slot_when_the_client_leaves(site: GatewayProcess) -> None:
    key = tiered(site, "single")
    asking = client(site, key)
    stream = asking.chat.completions.create(model="events-200+paced-20ms", messages=PROMPT, stream=True)
    next(iter(stream))
    with pytest.raises(openai.RateLimitError) as caught:
        asking.chat.completions.create(model="small", messages=PROMPT)
    assert caught.value.code == "too_many_parallel_requests"
    stream.close()

    def free() -> bool:
        answer = site.http.post(
            f"{site.base_url}/chat/completions",
            json={"model": "small", "messages": PROMPT},
            headers=key.bearer,
        )
        return answer.status_code == 200

    site.wait_until(free)


def test_a_tier_opens_only_its_models_and_a_new_tier_is_in_force_at_once(site: GatewayProcess) -> None:
    key = tiered(site, "local-only")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client(site, key).chat.completions.create(model="small", messages=PROMPT)
    assert caught.value.code == "model_not_in_tier"
    answer = site.admin.patch(f"{site.url}/admin/v1/teams/{key.team}", json={"tier": "thrice"})
    assert answer.status_code == 200, answer.text
    in_force(site, key, "tier", "thrice")
    client(site, key).chat.completions.create(model="small", messages=PROMPT)


def test_a_tier_with_monthly_credits_gives_them(site: GatewayProcess) -> None:
    key = tiered(site, "monthly")

    def given() -> bool:
        answer = site.admin.get(f"{site.url}/admin/v1/credits/{key.team}")
        return answer.status_code == 200 and answer.json()["available_nano"] > 0

    site.wait_until(given, seconds=10)
    assert balance(site, key)["available_nano"] <= 50 * 10_000_000


def test_a_budget_refuses_what_may_exceed_it(site: GatewayProcess) -> None:
    key = tiered(site, None)
    made = site.admin.post(
        f"{site.url}/admin/v1/budgets",
        json={
            "name": f"march-{key.team}",
            "subject": {"kind": "team", "id": key.team},
            "period": "month",
            "amount_nano": 700_000,
            "time_zone": "Europe/Istanbul",
        },
    )
    assert made.status_code == 201, made.text

    def refused() -> str:
        answer = site.http.post(
            f"{site.base_url}/chat/completions",
            json={"model": "small", "messages": PROMPT, "max_tokens": 100},
            headers=key.bearer,
        )
        return str(answer.json()["error"]["code"]) if answer.status_code == 402 else ""

    site.wait_until(lambda: refused() == "budget_exceeded")
    client(site, key).chat.completions.create(model="free", messages=PROMPT)
    assert sum(row.cost_nano for row in site.usage(key=key.id)) <= 700_000


def test_a_client_that_leaves_a_drained_route_pays_for_the_whole_answer(site: GatewayProcess) -> None:
    key = tiered(site, None)
    stream = client(site, key).chat.completions.create(model="drained", messages=PROMPT, stream=True)
    next(iter(stream))
    stream.close()
    row = site.record(key, seconds=10)
    assert (row.status, row.error, row.usage_source) == (499, "client_closed_request", "reported")
    assert row.finish_reason == "stop"
    assert row.cost_nano == row.input_tokens * INPUT_NANO + row.output_tokens * OUTPUT_NANO > 0


def test_what_the_provider_charges_is_kept_beside_the_price(site: GatewayProcess) -> None:
    key = tiered(site, None)
    client(site, key).chat.completions.create(model="costly", messages=PROMPT)
    row = site.record(key)
    assert row.provider_cost_nano == row.input_tokens * 100 + row.output_tokens * 1_000
    assert row.cost_nano == row.input_tokens * INPUT_NANO + row.output_tokens * OUTPUT_NANO


def test_tags_come_from_header_and_body(site: GatewayProcess) -> None:
    key = tiered(site, None)
    client(site, key).chat.completions.create(
        model="small",
        messages=PROMPT,
        extra_headers={"x-aspendos-tags": "project=atlas, environment=test"},
        extra_body={"aspendos": {"tags": {"environment": "prod"}}},
    )
    assert site.record(key).tags == {"project": "atlas", "environment": "prod"}
    with pytest.raises(openai.BadRequestError, match="x-aspendos-tags"):
        client(site, key).chat.completions.create(
            model="small", messages=PROMPT, extra_headers={"x-aspendos-tags": "=x"}
        )


def test_credit_granted_at_the_terminal_reaches_a_running_gateway(site: GatewayProcess) -> None:
    key = tiered(site, None)
    funded(site, key, 0)
    command = [sys.executable, "-m", "gateway.cli", "credits", "grant", key.team, "1.5", "--json"]
    environment = {
        **os.environ,
        "ASPENDOS_CONFIG": str(site.config_path),
        "ASPENDOS_DATA_DIR": str(site.data_dir),
    }
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)

    def served() -> bool:
        answer = site.http.post(
            f"{site.base_url}/chat/completions",
            json={"model": "small", "messages": PROMPT},
            headers=key.bearer,
        )
        return answer.status_code == 200

    site.wait_until(served, seconds=10)


def test_the_books_add_up(site: GatewayProcess) -> None:
    """After everything the other tests of this file did."""
    deadline = time.monotonic() + 10
    while True:
        answer = site.admin.post(f"{site.url}/admin/v1/credits/check")
        if answer.status_code == 200:
            break
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    checked = answer.json()
    assert checked["proof"]["faults"] == []
    assert [found for found in checked["findings"] if found["faults"] or found["difference_nano"]] == []
