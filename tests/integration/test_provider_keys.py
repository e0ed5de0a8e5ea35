"""Tenants' own provider keys through a real gateway, asked by OpenAI's own SDK: used, isolated, never told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.harness import PRICE, ROOT, UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey

TENANT_KEY = "sk-tenant-canary-5d1f0c7a9be24683"
WRONG_KEY = "sk-wrong-canary-88e0b1d2c3f45a67"
OPERATORS_KEY = "sk-operator-canary-0f9e8d7c6b5a4938"
QUESTION: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "hello"}]


class AskedGateway(GatewayProcess):
    """With one pool of connections for all the SDK's clients, closed with it."""

    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self.pool = openai.DefaultHttpxClient()

    def stop(self) -> int:
        self.pool.close()
        return super().stop()


def _catalogue(theirs: str, others: str) -> dict[str, Any]:
    """`acme` knows the tenant's key alone; `other` the operator's."""

    def chat(model: str, *providers: str) -> dict[str, Any]:
        return {
            "kind": "chat",
            "price": PRICE,
            "targets": [{"provider": provider, "model": model} for provider in providers],
        }

    return {
        "version": 1,
        "providers": {
            "acme": {
                "wire": "openai",
                "base_url": theirs,
                "key": {"env": "ACME_KEY"},
                "headers": {"x-account": {"env": "ACME_KEY"}},
            },
            "locked": {"wire": "openai", "base_url": theirs, "key": {"env": "NOBODY_SETS_THIS"}},
            "other": {"wire": "openai", "base_url": others, "key": {"env": "UPSTREAM_KEY"}},
            "nowhere": {"wire": "openai", "base_url": "http://127.0.0.1:1/v1"},
        },
        "models": {
            "acme-chat": chat("events-8", "acme"),
            "premium": chat("events-8", "locked"),
            "both": chat("events-8", "other", "acme"),
            "plain": chat("events-8", "other"),
            **{f"acme-{status}": chat(f"status-{status}", "acme") for status in (402, 429, 500)},
        },
    }


@pytest.fixture(scope="module")
def acme() -> Iterator[UpstreamThread]:
    with UpstreamThread(key=TENANT_KEY) as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[UpstreamThread]:
    with UpstreamThread(key=UPSTREAM_KEY) as running:
        yield running


@pytest.fixture(scope="module")
def own_gateway(
    acme: UpstreamThread, other: UpstreamThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AskedGateway]:
    folder = tmp_path_factory.mktemp("own-keys")
    catalogue = _catalogue(acme.base_url, other.base_url)
    with AskedGateway(folder, catalogue, environment={"ACME_KEY": OPERATORS_KEY}) as running:
        yield running


@pytest.fixture
def tenant(own_gateway: AskedGateway) -> VirtualKey:
    return own_gateway.new_key()


def client(gateway: AskedGateway, key: VirtualKey) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, http_client=gateway.pool)


def store(
    gateway: AskedGateway, tenant: VirtualKey, provider: str = "acme", key: str = TENANT_KEY, **fields: Any
) -> httpx.Response:
    parameters = {"untested": "true"} if fields.pop("untested", False) else {}
    body = {"provider": provider, "key": key, "team": tenant.team, **fields}
    return gateway.admin.post(f"{gateway.url}/admin/v1/provider-keys", json=body, params=parameters)


def in_force(gateway: AskedGateway, tenant: VirtualKey, model: str = "acme-chat") -> None:
    """Return once the gateway uses the tenant's key: it hears of it within a moment."""
    asking = client(gateway, tenant)

    def used() -> bool:
        try:
            asking.chat.completions.create(model=model, messages=QUESTION)
        except openai.APIStatusError as error:
            return error.code == "provider_key_refused"
        return True

    gateway.wait_until(used)


def test_the_tenants_key_is_tested_then_used_and_reaches_its_provider_alone(
    own_gateway: AskedGateway, acme: UpstreamThread, other: UpstreamThread, tenant: VirtualKey
) -> None:
    with pytest.raises(openai.APIStatusError) as before:
        client(own_gateway, tenant).chat.completions.create(model="acme-chat", messages=QUESTION)
    assert before.value.code == "upstream_auth"  # the operator's own key is no good there
    stored = store(own_gateway, tenant)
    assert stored.status_code == 201, stored.text
    assert (stored.json()["status"], stored.json()["proven"], stored.json()["hint"]) == (
        "active",
        True,
        "…4683",
    )
    tested = [asked for asked in acme.server.exchanges if asked.target == "/v1/models"]
    assert f"Bearer {TENANT_KEY}" in [asked.header("authorization") for asked in tested]
    in_force(own_gateway, tenant)
    answer = client(own_gateway, tenant).chat.completions.with_raw_response.create(
        model="acme-chat", messages=QUESTION
    )
    assert answer.headers["x-aspendos-provider"] == "acme"
    assert acme.last().header("authorization") == f"Bearer {TENANT_KEY}"
    assert acme.last().header("x-account") is None
    events = list(
        client(own_gateway, tenant).chat.completions.create(model="both", messages=QUESTION, stream=True)
    )
    assert events
    assert acme.last().header("authorization") == f"Bearer {TENANT_KEY}"
    client(own_gateway, tenant).chat.completions.create(model="plain", messages=QUESTION)
    for asked in other.server.exchanges:
        everything = repr((asked.headers, asked.target, asked.body))
        assert TENANT_KEY not in everything
    assert other.last().header("authorization") == f"Bearer {UPSTREAM_KEY}"


def test_another_team_does_not_get_it(
    own_gateway: AskedGateway, acme: UpstreamThread, tenant: VirtualKey
) -> None:
    assert store(own_gateway, tenant).status_code == 201
    in_force(own_gateway, tenant)
    stranger = own_gateway.new_key()
    with pytest.raises(openai.APIStatusError) as refused:
        client(own_gateway, stranger).chat.completions.create(model="acme-chat", messages=QUESTION)
    assert refused.value.code == "upstream_auth"
    assert acme.last().header("authorization") == f"Bearer {OPERATORS_KEY}"


def test_what_the_operator_has_no_key_for_is_unlocked(own_gateway: AskedGateway, tenant: VirtualKey) -> None:
    with pytest.raises(openai.APIStatusError) as off:
        client(own_gateway, tenant).chat.completions.create(model="premium", messages=QUESTION)
    assert (off.value.status_code, off.value.code) == (503, "model_off")
    assert "premium" not in {model.id for model in client(own_gateway, tenant).models.list()}
    assert store(own_gateway, tenant, "locked", fallback=True).status_code == 201
    in_force(own_gateway, tenant, "premium")
    answer = client(own_gateway, tenant).chat.completions.create(model="premium", messages=QUESTION)
    assert answer.choices[0].message.content
    assert "premium" in {model.id for model in client(own_gateway, tenant).models.list()}
    assert client(own_gateway, tenant).models.retrieve("premium").owned_by == "locked"
    with pytest.raises(openai.NotFoundError):
        client(own_gateway, own_gateway.new_key()).models.retrieve("premium")


def test_a_key_the_provider_refuses_is_not_stored(own_gateway: AskedGateway, tenant: VirtualKey) -> None:
    refused = store(own_gateway, tenant, key=WRONG_KEY)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == ("provider_key_refused", "key")
    assert "Incorrect API key provided" in error["message"]
    assert WRONG_KEY not in refused.text
    listed = own_gateway.admin.get(f"{own_gateway.url}/admin/v1/provider-keys", params={"owner": tenant.team})
    assert listed.json()["data"] == []


def test_a_provider_that_is_not_there(own_gateway: AskedGateway, tenant: VirtualKey) -> None:
    away = store(own_gateway, tenant, "nowhere")
    assert away.status_code == 502
    assert "untested=true" in away.json()["error"]["message"]
    kept = store(own_gateway, tenant, "nowhere", untested=True)
    assert (kept.status_code, kept.json()["status"]) == (201, "untested")


def test_a_failing_key_is_said_to_be_theirs(own_gateway: AskedGateway, tenant: VirtualKey) -> None:
    assert store(own_gateway, tenant, key=WRONG_KEY, untested=True).status_code == 201
    in_force(own_gateway, tenant)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client(own_gateway, tenant).chat.completions.create(model="acme-chat", messages=QUESTION)
    assert refused.value.code == "provider_key_refused"
    assert "your own key" in refused.value.message
    assert "Incorrect API key provided" in refused.value.message
    assert WRONG_KEY not in refused.value.message


@pytest.mark.parametrize(
    ("status", "error"), [(402, openai.APIStatusError), (429, openai.RateLimitError)], ids=["402", "429"]
)
def test_an_account_of_theirs_that_is_empty_or_limited(
    own_gateway: AskedGateway, tenant: VirtualKey, status: int, error: type[openai.APIStatusError]
) -> None:
    assert store(own_gateway, tenant).status_code == 201
    in_force(own_gateway, tenant)
    with pytest.raises(error) as refused:
        client(own_gateway, tenant).chat.completions.create(model=f"acme-{status}", messages=QUESTION)
    assert (refused.value.status_code, refused.value.code) == (status, "provider_key_refused")


def test_a_failing_key_falls_back_where_that_is_allowed(
    own_gateway: AskedGateway, other: UpstreamThread, tenant: VirtualKey
) -> None:
    stored = store(own_gateway, tenant, "other", key=WRONG_KEY, untested=True, fallback=True)
    assert stored.status_code == 201

    def fell_back() -> bool:
        answer = client(own_gateway, tenant).chat.completions.with_raw_response.create(
            model="plain", messages=QUESTION
        )
        return answer.headers["x-aspendos-attempts"] == "2"

    own_gateway.wait_until(fell_back)
    assert other.last().header("authorization") == f"Bearer {UPSTREAM_KEY}"

    def billed() -> bool:
        records = [record for record in own_gateway.usage(key=tenant.id) if record.attempts == 2]
        return bool(records) and records[0].cost_nano > 0 and not records[0].byok

    own_gateway.wait_until(billed)


def test_a_replaced_and_a_deleted_key(
    own_gateway: AskedGateway, acme: UpstreamThread, tenant: VirtualKey
) -> None:
    made = store(own_gateway, tenant, key=WRONG_KEY, untested=True).json()
    path = f"{own_gateway.url}/admin/v1/provider-keys/{made['id']}"
    refused = own_gateway.admin.post(f"{path}/replace", json={"key": "sk-also-wrong-canary-11"})
    assert refused.status_code == 400
    replaced = own_gateway.admin.post(f"{path}/replace", json={"key": TENANT_KEY})
    assert (replaced.status_code, replaced.json()["hint"]) == (200, "…4683")

    def works() -> bool:
        try:
            client(own_gateway, tenant).chat.completions.create(model="acme-chat", messages=QUESTION)
        except openai.APIStatusError:
            return False
        return True

    own_gateway.wait_until(works)
    assert own_gateway.admin.post(f"{path}/test").json()["status"] == "active"
    assert own_gateway.admin.delete(path).status_code == 204
    own_gateway.wait_until(lambda: not works())
    assert acme.last().header("authorization") == f"Bearer {OPERATORS_KEY}"


def test_its_use_costs_nothing_and_is_metered_all_the_same(
    own_gateway: AskedGateway, tenant: VirtualKey
) -> None:
    assert store(own_gateway, tenant).status_code == 201
    in_force(own_gateway, tenant)
    metered = own_gateway.new_key()
    assert store(own_gateway, metered).status_code == 201
    in_force(own_gateway, metered)
    answer = client(own_gateway, metered).chat.completions.with_raw_response.create(
        model="acme-chat", messages=QUESTION
    )
    assert answer.headers["x-aspendos-cost"] in ("0", "0.0", "0.00")
    own_gateway.wait_until(lambda: bool(own_gateway.usage(key=metered.id, status=200)))
    newest = own_gateway.usage(key=metered.id, status=200)[0]
    assert newest.cost_nano == 0
    assert newest.byok
    assert newest.output_tokens > 0


def test_the_master_key_is_rotated_under_a_running_gateway(
    own_gateway: AskedGateway, acme: UpstreamThread, tenant: VirtualKey
) -> None:
    assert store(own_gateway, tenant).status_code == 201
    in_force(own_gateway, tenant)
    late = own_gateway.new_key()
    assert store(own_gateway, late).status_code == 201
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "provider-keys", "rotate-master", "--forget-old", "--json"],
            cwd=ROOT,
            env={
                **os.environ,
                "ASPENDOS_DATA_DIR": str(own_gateway.data_dir),
                "ASPENDOS_CONFIG": str(own_gateway.config_path),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        rotated = json.loads(done.stdout)
        assert rotated["moved"] >= 2
        assert rotated["left"] == []
        for key in (tenant, late):  # one it has used before the rotation, one it has not
            client(own_gateway, key).chat.completions.create(model="acme-chat", messages=QUESTION)
            assert acme.last().header("authorization") == f"Bearer {TENANT_KEY}"
    fresh = own_gateway.new_key()
    assert store(own_gateway, fresh).status_code == 201
    in_force(own_gateway, fresh)
    ready = own_gateway.admin.get(f"{own_gateway.url}/health/ready").json()
    assert ready["dependencies"]["provider_keys"] == "ok"


def test_no_secret_is_to_be_found_anywhere(own_gateway: AskedGateway, tenant: VirtualKey) -> None:
    """After all the above, and a crash on the way: logs, output, metrics, database, journal, every answer."""
    assert store(own_gateway, tenant).status_code == 201
    in_force(own_gateway, tenant)
    bad = own_gateway.admin.post(
        f"{own_gateway.url}/admin/v1/provider-keys",
        json={"provider": "acme", "key": TENANT_KEY, "team": tenant.team, "surprise": TENANT_KEY},
    )
    assert bad.status_code == 400
    answers = [
        bad.text,
        own_gateway.admin.get(f"{own_gateway.url}/admin/v1/provider-keys", params={"limit": 200}).text,
        own_gateway.admin.get(f"{own_gateway.url}/metrics").text,
        own_gateway.admin.get(f"{own_gateway.url}/admin/v1/audit").text,
        own_gateway.admin.get(f"{own_gateway.url}/health/ready").text,
    ]
    for secret in (TENANT_KEY, WRONG_KEY):
        assert all(secret not in text for text in answers)
    own_gateway.log_lines()  # wait for the last ones
    folder = own_gateway.data_dir.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in (TENANT_KEY, WRONG_KEY):
            for form in _forms(secret):
                assert form not in content, f"{path.name} holds a tenant's key"


def _forms(secret: str) -> list[bytes]:
    """As it is, and as something might have written it down."""
    plain = secret.encode()
    return [plain, plain.hex().encode(), plain[::-1], secret.removeprefix("sk-").encode()]


def test_the_database_file_alone_gives_nothing_away(own_gateway: AskedGateway) -> None:
    files: list[Path] = list(own_gateway.data_dir.glob("aspendos.db*"))
    assert files
    master = (own_gateway.data_dir / "master_key").read_text().strip()
    for path in files:
        content = path.read_bytes()
        assert master.encode() not in content
        assert bytes.fromhex(master) not in content
