"""Tiers through a real gateway: what a plan includes, how much of it, and what happens when its credit is used up."""

import json
from typing import Any

import httpx
import pytest

from policies.ceiling import TOKENS_PER_PICTURE, UNSEEN_TOKENS
from tests.harness import INPUT_NANO, OUTPUT_NANO, GatewayProcess, UpstreamThread, VirtualKey

CREDIT = 10_000_000
TIERS: dict[str, Any] = {
    "tight": {"requests": {"day": 3}},
    "narrow": {"models": ["events-8", "embed"], "features": {"embeddings": False, "vision": False}},
    "wide": {},
    "gone": {},
    "short": {"credits_per_month": 1, "when_empty": "shorten"},
    "other": {"credits_per_month": 1, "when_empty": {"model": "free"}},
    "plain": {"credits_per_month": 1},
    "rich": {"credits_per_month": 1_000},
}


@pytest.fixture(scope="module", autouse=True)
def tiers(gateway: GatewayProcess) -> None:
    gateway.configure(tiers=TIERS)


def ask(gateway: GatewayProcess, key: VirtualKey, model: str = "events-8", **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
    return gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)


def on(gateway: GatewayProcess, tier: str | None, *keys: VirtualKey) -> None:
    """Give the keys' teams a tier, and wait until it is in force."""
    for key in keys:
        answer = gateway.admin.patch(f"{gateway.url}/admin/v1/teams/{key.team}", json={"tier": tier})
        assert answer.status_code == 200, answer.text
        gateway.wait_until(lambda key=key: account(gateway, key)["tier_name"] == tier)


def account(gateway: GatewayProcess, key: VirtualKey) -> dict[str, Any]:
    answer = gateway.http.get(f"{gateway.base_url}/account", headers=key.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def credit(gateway: GatewayProcess, key: VirtualKey, credits: int = 1) -> None:
    """Wait for the month's credits."""

    def there() -> bool:
        balance = account(gateway, key)["balance"]
        return balance is not None and balance["credits"] == str(credits)

    gateway.wait_until(there, seconds=20)


def test_a_teams_limit_counts_all_its_keys_and_says_whose_it_is(gateway: GatewayProcess) -> None:
    one = gateway.new_key()
    issued = gateway.admin.post(f"{gateway.url}/admin/v1/keys", json={"team": one.team, "name": "two"}).json()
    two = VirtualKey(text=issued["key"], id=issued["details"]["id"], team=one.team)
    on(gateway, "tight", one)
    gateway.wait_until(lambda: account(gateway, two)["tier_name"] == "tight")
    answers = [ask(gateway, key).status_code for key in (one, two, one, two)]
    assert answers == [200, 200, 200, 429]
    refused = ask(gateway, two)
    assert refused.json()["error"]["message"].startswith(
        "Your team's limit of 3 requests a day (tier tight) is reached"
    )
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert 80_000 < int(refused.headers["retry-after"]) < 90_000
    gateway.configure(tiers={"tight": {"requests": {"day": 4}}})
    assert [ask(gateway, two).status_code for _ in range(2)] == [200, 429], "a reload applies at once"
    assert ask(gateway, gateway.new_key()).status_code == 200, "another team is not under it"


def test_what_a_tier_does_not_include_is_refused_with_the_tiers_that_do(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    on(gateway, "narrow", key)
    assert ask(gateway, key).status_code == 200
    model = ask(gateway, key, "patched-too")
    assert model.status_code == 403
    assert model.json()["error"]["code"] == "model_not_in_tier"
    assert "wide" in model.json()["error"]["message"]
    embedding = gateway.http.post(
        f"{gateway.base_url}/embeddings", json={"model": "embed", "input": "x"}, headers=key.bearer
    )
    assert (embedding.status_code, embedding.json()["error"]["code"]) == (403, "feature_not_in_tier")
    picture = [{"type": "image_url", "image_url": {"url": "http://h/a.png"}}]
    seen = ask(gateway, key, messages=[{"role": "user", "content": picture}])
    assert (seen.status_code, seen.json()["error"]["code"]) == (403, "feature_not_in_tier")


def test_a_tier_that_is_not_in_the_file_any_more_stops_its_holders_and_nobody_else(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    held = gateway.new_key()
    on(gateway, "gone", held)
    before = gateway.config_path.read_text()
    file = json.loads(before)
    del file["tiers"]["gone"]
    try:
        gateway.config_path.write_text(json.dumps(file))
        assert gateway.admin.post(f"{gateway.url}/admin/v1/config/reload").status_code == 200
        refused = ask(gateway, held)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unknown_tier")
        assert "'gone'" in refused.json()["error"]["message"]
        assert ask(gateway, key).status_code == 200
        assert account(gateway, held)["tier"] is None
    finally:
        gateway.config_path.write_text(before)
        assert gateway.admin.post(f"{gateway.url}/admin/v1/config/reload").status_code == 200
    assert ask(gateway, held).status_code == 200


def test_a_month_of_credits_pays_and_the_account_shows_what_is_left(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    assert account(gateway, key)["balance"] is None
    on(gateway, "rich", key)
    credit(gateway, key, 1_000)
    answer = ask(gateway, key, max_tokens=20)
    assert answer.status_code == 200
    usage = answer.json()["usage"]
    cost = usage["prompt_tokens"] * INPUT_NANO + usage["completion_tokens"] * OUTPUT_NANO
    balance = account(gateway, key)["balance"]
    assert balance["nano_usd"] == 1_000 * CREDIT - cost
    assert balance["account"] == f"acct_{key.team}"


def test_an_answer_is_shortened_to_what_the_credit_covers(
    gateway: GatewayProcess, upstream: UpstreamThread
) -> None:
    key = gateway.new_key()
    on(gateway, "short", key)
    credit(gateway, key)
    assert ask(gateway, key, max_tokens=1_000_000).status_code == 200
    sent = upstream.body()["max_tokens"]
    prompt = (UNSEEN_TOKENS + 4 * 12) * INPUT_NANO
    assert 0 < sent * OUTPUT_NANO <= CREDIT - UNSEEN_TOKENS * INPUT_NANO
    assert CREDIT - prompt - 2_000 * INPUT_NANO <= sent * OUTPUT_NANO


def test_another_model_answers_where_the_tier_says_so(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    on(gateway, "other", key)
    credit(gateway, key)
    answer = ask(gateway, key, max_tokens=1_000_000)
    assert (answer.status_code, answer.headers["x-aspendos-model"]) == (200, "free")
    assert account(gateway, key)["balance"]["nano_usd"] == CREDIT, "the free model cost nothing"


def test_without_a_rule_it_is_refused_and_a_free_model_still_answers(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    on(gateway, "plain", key)
    credit(gateway, key)
    refused = ask(gateway, key, max_tokens=1_000_000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credits")
    assert ask(gateway, key, "free", max_tokens=1_000_000).status_code == 200
    picture = {"type": "image_url", "image_url": {"url": "http://h/a.png"}}
    pictures = [{"role": "user", "content": [picture] * 3}]
    dear = ask(gateway, key, messages=pictures, max_tokens=1)
    assert dear.status_code == 402, f"three pictures may be {3 * TOKENS_PER_PICTURE} tokens"


def test_going_up_adds_credits_and_going_down_takes_none(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    on(gateway, "plain", key)
    credit(gateway, key)
    on(gateway, "rich", key)
    gateway.wait_until(lambda: account(gateway, key)["balance"]["nano_usd"] > 990 * CREDIT, seconds=20)
    had = account(gateway, key)["balance"]["nano_usd"]
    on(gateway, "plain", key)
    on(gateway, "rich", key)
    assert account(gateway, key)["balance"]["nano_usd"] == had


def test_the_tiers_and_their_holders_balance_are_told_only_to_who_may_know(gateway: GatewayProcess) -> None:
    assert gateway.http.get(f"{gateway.base_url}/account").status_code == 401
    assert gateway.http.get(f"{gateway.url}/admin/v1/tiers").status_code == 401
    names = [tier["name"] for tier in gateway.admin.get(f"{gateway.url}/admin/v1/tiers").json()]
    assert set(TIERS) <= set(names)
