"""Logging in at a running gateway: from an invitation to a chat, and what a token opens and does not."""

import concurrent.futures
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.harness import GatewayProcess, UpstreamThread, catalogue
from tests.identity_provider import IdentityProvider, forged

PASSWORD = "correct-horse-canary-battery"
TEXT = " word0 word1 word2 word3 word4"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a few words."}]


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider("RS256") as running:
        yield running


@pytest.fixture(scope="module")
def door(
    upstream: UpstreamThread, provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway of two processes that trusts the provider."""
    folder = tmp_path_factory.mktemp("login")
    issuers = [
        {
            "issuer": provider.issuer,
            "audience": ["aspendos"],
            "algorithms": ["RS256"],
            "organisation": "default",
            "claims": {"team": "team", "role": "groups"},
            "roles": {"ops": "admin", "everybody": "viewer"},
            "refetch": 0.2,
        }
    ]
    (folder / "oidc.yaml").write_text(json.dumps({"issuers": issuers}))
    environment = {
        "ASPENDOS_OIDC_FILE": str(folder / "oidc.yaml"),
        "ASPENDOS_TOKEN_ISSUER": "https://gw.example",
    }
    with GatewayProcess(
        folder, catalogue(upstream.base_url), arguments=("--workers", "2"), environment=environment
    ) as running:
        made = running.admin.post(f"{running.url}/admin/v1/teams", json={"name": "research"})
        assert made.status_code == 201, made.text
        yield running


def post(door: GatewayProcess, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return door.http.post(f"{door.url}{path}", json=body, headers=headers)


def get(door: GatewayProcess, path: str, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return door.http.get(f"{door.url}{path}", headers=headers)


def code(response: httpx.Response) -> str:
    return response.json()["error"]["code"]


def invited(door: GatewayProcess, role: str = "admin") -> tuple[str, str]:
    """A new user in the team, and the one-time token: address and token."""
    email = f"user-{os.urandom(4).hex()}@example.com"
    user = door.admin.post(
        f"{door.url}/admin/v1/users", json={"email": email, "role": role, "teams": ["research"]}
    )
    assert user.status_code == 201, user.text
    invitation = door.admin.post(f"{door.url}/admin/v1/users/{email}/invitation")
    assert invitation.status_code == 201, invitation.text
    return email, invitation.json()["token"]


def login(door: GatewayProcess, role: str = "admin") -> tuple[str, dict[str, Any]]:
    email, token = invited(door, role)
    assert post(door, "/auth/password", {"token": token, "password": PASSWORD}).status_code == 204
    answer = post(door, "/auth/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return email, answer.json()


def out_within_a_second(door: GatewayProcess, token: str) -> str:
    """Each process is asked often enough that both have answered. A slow machine is given more time."""
    deadline = time.monotonic() + 10
    while True:
        with httpx.Client() as fresh:  # new connections, so either process may take them
            answers = [
                fresh.get(
                    f"{door.url}/auth/me", headers={"authorization": f"Bearer {token}", "connection": "close"}
                )
                for _ in range(8)
            ]
        if all(answer.status_code == 401 for answer in answers):
            return code(answers[0])
        assert time.monotonic() < deadline, [answer.status_code for answer in answers]
        time.sleep(0.05)


def test_from_an_invitation_to_a_chat(door: GatewayProcess) -> None:
    email, tokens = login(door)
    me = get(door, "/auth/me", tokens["access_token"]).json()
    assert (me["email"], me["role"], me["org_id"]) == (email, "admin", "org_default")
    key = post(
        door, "/admin/v1/keys", {"team": "research", "name": "made by a login"}, tokens["access_token"]
    )
    assert key.status_code == 201, key.text
    with OpenAI(base_url=door.base_url, api_key=key.json()["key"], max_retries=0, timeout=15) as client:
        answer = client.chat.completions.create(model="events-8", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
    entries = door.admin.get(f"{door.url}/admin/v1/audit", params={"actor": email}).json()["data"]
    actions = [entry["action"] for entry in entries]
    assert {"password.set", "login.success", "key.create"} <= set(actions)
    assert all(entry["request_id"] and entry["ip"] == "127.0.0.1" for entry in entries)


def test_a_login_calls_models_itself(door: GatewayProcess) -> None:
    _, tokens = login(door, "member")
    me = get(door, "/auth/me", tokens["access_token"]).json()
    with OpenAI(base_url=door.base_url, api_key=tokens["access_token"], max_retries=0, timeout=15) as client:
        answer = client.chat.completions.create(model="events-8", messages=MESSAGES)
        assert "events-8" in [model.id for model in client.models.list()]
    assert answer.choices[0].message.content == TEXT
    door.wait_until(lambda: bool(door.usage(key=me["user_id"])))
    assert door.usage(key=me["user_id"])[0].status == 200


def test_an_issuers_token_is_an_api_key(door: GatewayProcess, provider: IdentityProvider) -> None:
    token = provider.token(time.time(), sub="sdk-user", email="sdk@example.com", team="research")
    with OpenAI(base_url=door.base_url, api_key=token, max_retries=0, timeout=15) as client:
        answer = client.chat.completions.create(model="events-8", messages=MESSAGES)
        text = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model="events-8", messages=MESSAGES, stream=True)
            if chunk.choices
        )
    assert answer.choices[0].message.content == text == TEXT
    expired = provider.token(time.time() - 10_000, sub="sdk-user", team="research")
    with (
        OpenAI(base_url=door.base_url, api_key=expired, max_retries=0, timeout=15) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="events-8", messages=MESSAGES)
    assert caught.value.code == "token_expired"


def test_an_issuers_token_manages_as_its_role(door: GatewayProcess, provider: IdentityProvider) -> None:
    now = time.time()
    viewer = provider.token(now, sub="v", email="v@example.com", groups=["everybody"])
    admin = provider.token(now, sub="a", email="a@example.com", groups=["everybody", "ops"])
    assert get(door, "/admin/v1/teams", viewer).status_code == 200
    refused = post(door, "/admin/v1/teams", {"name": "by a viewer"}, viewer)
    assert (refused.status_code, code(refused)) == (403, "missing_permission")
    assert post(door, "/admin/v1/teams", {"name": f"by {os.urandom(4).hex()}"}, admin).status_code == 201
    assert code(post(door, "/auth/logout-everywhere", None, admin)) == "foreign_login"
    assert (
        code(post(door, "/v1/chat/completions", {"model": "events-8", "messages": []}, viewer)) == "no_team"
    )


def test_a_rotated_key_of_the_issuer_is_followed(door: GatewayProcess, provider: IdentityProvider) -> None:
    before = provider.token(time.time(), sub="r", email="r@example.com")
    assert get(door, "/auth/me", before).status_code == 200
    provider.rotate(f"rotated-{os.urandom(3).hex()}", keep=True)
    time.sleep(0.25)
    after = provider.token(time.time(), sub="r", email="r@example.com")
    assert get(door, "/auth/me", after).status_code == 200
    assert get(door, "/auth/me", before).status_code == 200


def test_forged_tokens_open_nothing(door: GatewayProcess, provider: IdentityProvider) -> None:
    now = time.time()
    claims = provider.claims(now)
    kid = next(iter(provider.keys))
    cases = {
        forged({"alg": "none"}, claims): "token_algorithm",
        forged({"alg": "HS256", "kid": kid}, claims, b"k" * 32): "token_algorithm",
        forged({"alg": "RS256", "kid": kid}, claims): "token_signature",
        provider.token(now, aud="another"): "token_audience",
        provider.token(now, iss="https://evil.example"): "token_issuer",
        provider.token(now - 10_000): "token_expired",
        provider.token(now + 10_000): "token_not_yet_valid",
    }
    for token, wanted in cases.items():
        for path in ("/admin/v1/teams", "/auth/me", "/v1/models"):
            answer = get(door, path, token)
            assert (answer.status_code, code(answer)) == (401, wanted), path
            challenge = answer.headers["www-authenticate"]
            assert challenge.startswith('Bearer realm="aspendos", error="invalid_token", error_description="')
        answer = post(door, "/v1/chat/completions", {"model": "events-8", "messages": MESSAGES}, token)
        assert (answer.status_code, code(answer)) == (401, wanted)
    bare = get(door, "/admin/v1/teams")
    assert (bare.status_code, bare.headers["www-authenticate"]) == (401, 'Bearer realm="aspendos"')


def test_logging_out_is_heard_by_every_process(door: GatewayProcess) -> None:
    _, tokens = login(door)
    assert get(door, "/auth/me", tokens["access_token"]).status_code == 200
    assert post(door, "/auth/logout", None, tokens["access_token"]).status_code == 204
    assert out_within_a_second(door, tokens["access_token"]) == "token_revoked"
    answer = post(door, "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert (answer.status_code, code(answer)) == (401, "session_ended")


def test_a_disabled_user_is_out_everywhere(door: GatewayProcess) -> None:
    email, tokens = login(door)
    assert get(door, "/auth/me", tokens["access_token"]).status_code == 200
    answer = door.admin.patch(f"{door.url}/admin/v1/users/{email}", json={"disabled": True})
    assert answer.status_code == 200, answer.text
    assert out_within_a_second(door, tokens["access_token"]) == "token_revoked"
    assert code(post(door, "/auth/login", {"email": email, "password": PASSWORD})) == "login_refused"


def test_an_administrator_ends_logins(door: GatewayProcess) -> None:
    email, tokens = login(door)
    answer = door.admin.delete(f"{door.url}/admin/v1/users/{email}/sessions")
    assert (answer.status_code, answer.json()) == (200, {"ended": 1})
    assert out_within_a_second(door, tokens["access_token"]) == "token_revoked"


def race_of_refreshes(door: GatewayProcess, token: str) -> None:
    """The same refresh token, eight times at once: one successor; used later again, it ends the family."""

    def refresh(_: int) -> httpx.Response:
        with httpx.Client(timeout=30) as fresh:
            return fresh.post(f"{door.url}/auth/refresh", json={"refresh_token": token})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(refresh, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    successor = answers[0].json()["refresh_token"]
    third = post(door, "/auth/refresh", {"refresh_token": successor}).json()["refresh_token"]
    assert code(post(door, "/auth/refresh", {"refresh_token": token})) == "refresh_token_reused"
    assert code(post(door, "/auth/refresh", {"refresh_token": third})) == "session_ended"


def test_refreshes_at_once_over_two_processes_give_one_successor(door: GatewayProcess) -> None:
    _, tokens = login(door)
    race_of_refreshes(door, tokens["refresh_token"])


def test_logins_outlive_a_restart(door: GatewayProcess) -> None:
    _, tokens = login(door)
    door.restart()
    assert get(door, "/auth/me", tokens["access_token"]).status_code == 200
    assert post(door, "/auth/refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 200


def test_anybody_can_check_our_tokens(door: GatewayProcess) -> None:
    _, tokens = login(door)
    answer = get(door, "/.well-known/jwks.json")
    assert "max-age" in answer.headers["cache-control"]
    keys = jwt.PyJWKSet.from_json(answer.text)
    kid = jwt.get_unverified_header(tokens["access_token"])["kid"]
    claims = jwt.decode(
        tokens["access_token"],
        keys[kid],
        algorithms=["EdDSA"],
        audience="aspendos",
        issuer="https://gw.example",
    )
    assert claims["exp"] - claims["iat"] == 900


def test_a_password_is_changed(door: GatewayProcess) -> None:
    email, tokens = login(door)
    body = {"old_password": PASSWORD, "new_password": PASSWORD + "-2"}
    assert post(door, "/auth/password/change", body, tokens["access_token"]).status_code == 204
    assert out_within_a_second(door, tokens["access_token"]) == "token_revoked"
    assert post(door, "/auth/login", {"email": email, "password": PASSWORD}).status_code == 401
    assert post(door, "/auth/login", {"email": email, "password": PASSWORD + "-2"}).status_code == 200


def test_guessing_is_slowed_down_over_all_processes(door: GatewayProcess) -> None:
    email, token = invited(door)
    post(door, "/auth/password", {"token": token, "password": PASSWORD})

    def guess(number: int) -> httpx.Response:
        with httpx.Client(timeout=30) as fresh:
            return fresh.post(f"{door.url}/auth/login", json={"email": email, "password": f"guess {number}"})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(14)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 4
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert post(door, "/auth/login", {"email": email, "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/login", {}),
        ("/auth/login", {"email": "a@example.com"}),
        ("/auth/login", {"email": "a@example.com", "password": 5}),
        ("/auth/login", {"email": "a@example.com", "password": PASSWORD, "admin": True}),
        ("/auth/login", {"email": "a" * 300, "password": PASSWORD}),
        ("/auth/login", {"email": "a@example.com", "password": PASSWORD * 100}),
        ("/auth/refresh", {"refresh_token": None}),
        ("/auth/password", {"token": "x", "password": "short"}),
    ],
)
def test_bad_input_is_a_clear_400_that_repeats_no_secret(door: GatewayProcess, path: str, body: Any) -> None:
    answer = post(door, path, body)
    assert answer.status_code == 400, answer.text
    assert PASSWORD not in answer.text
    assert answer.json()["error"]["message"]


def test_no_token_or_password_is_in_the_log_or_the_answers(
    door: GatewayProcess, provider: IdentityProvider
) -> None:
    email, invitation = invited(door)
    secrets = [PASSWORD, invitation]
    post(door, "/auth/password", {"token": invitation, "password": PASSWORD})
    tokens = post(door, "/auth/login", {"email": email, "password": PASSWORD}).json()
    foreign = provider.token(time.time(), sub="log", email="log@example.com", team="research")
    secrets += [tokens["access_token"], tokens["refresh_token"], foreign]
    shown: list[str] = []
    for token in (
        tokens["access_token"],
        foreign,
        foreign[:-8] + "AAAAAAAA",
        tokens["access_token"][:-3] + "AAA",
    ):
        shown.append(get(door, "/auth/me", token).text)
        shown.append(get(door, "/v1/models", token).text)
        shown.append(post(door, "/v1/chat/completions", {"model": "nope", "messages": MESSAGES}, token).text)
    shown.append(post(door, "/auth/refresh", {"refresh_token": tokens["refresh_token"] + "x"}).text)
    shown.append(post(door, "/auth/login", {"email": email, "password": PASSWORD + "x"}).text)
    shown.append(post(door, "/auth/password", {"token": invitation, "password": PASSWORD}).text)
    shown.append(door.admin.get(f"{door.url}/admin/v1/audit").text)
    shown.append("\n".join(json.dumps(line) for line in door.log_lines()))
    for secret in secrets:
        assert not any(secret in text or secret[-40:] in text for text in shown)


def test_logins_on_postgres(upstream: UpstreamThread, tmp_path: Path, postgres_database_url: str) -> None:
    environment = {"ASPENDOS_DATABASE_URL": postgres_database_url}
    arguments = ("--workers", "2")
    with GatewayProcess(
        tmp_path, catalogue(upstream.base_url), arguments=arguments, environment=environment
    ) as running:
        assert (
            running.admin.post(f"{running.url}/admin/v1/teams", json={"name": "research"}).status_code == 201
        )
        _, tokens = login(running)
        with OpenAI(base_url=running.base_url, api_key=tokens["access_token"], timeout=15) as client:
            answer = client.chat.completions.create(model="events-8", messages=MESSAGES)
        assert answer.choices[0].message.content == TEXT
        race_of_refreshes(running, tokens["refresh_token"])
        email, tokens = login(running)
        assert get(running, "/auth/me", tokens["access_token"]).status_code == 200
        disabled = running.admin.patch(f"{running.url}/admin/v1/users/{email}", json={"disabled": True})
        assert disabled.status_code == 200
        assert out_within_a_second(running, tokens["access_token"]) == "token_revoked"


def test_a_mistake_in_the_issuers_file_stops_the_start(upstream: UpstreamThread, tmp_path: Path) -> None:
    (tmp_path / "oidc.yaml").write_text("issuers: [{issuer: 'http://id.example', audience: x}]")
    gateway = GatewayProcess(
        tmp_path,
        catalogue(upstream.base_url),
        environment={"ASPENDOS_OIDC_FILE": str(tmp_path / "oidc.yaml")},
    )
    with pytest.raises(RuntimeError, match=r"oidc\.yaml.*https://"):
        gateway.start()
    gateway.stop()
