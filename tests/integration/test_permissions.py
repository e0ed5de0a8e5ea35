"""Who may do what: every operation of the management API, as its schema lists them, asked by everybody there is.

The schema is the source: a route added later is asked too, without a word here. Nobody is stood in for: the users
are made, invited and logged in over HTTP, against a gateway in a process of its own.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from msgspec import Struct

from policies.roles import PERMISSIONS, Permission, Role
from tests.harness import GatewayProcess, UpstreamThread, VirtualKey, catalogue

METHODS = ("get", "post", "put", "patch", "delete")
PASSWORD = "correct horse battery staple 9"
MADE_UP = "nobody-made-this"
ITSELF = {("api_keys", "last_used_at"), ("journal_offsets", "position")}
"""What the gateway writes down by itself while it is asked."""

Json = dict[str, Any]


class Operation(Struct, frozen=True, kw_only=True):
    """One operation of the schema."""

    method: str
    path: str
    permission: Permission
    described: Json

    @property
    def label(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def names(self, where: str) -> list[str]:
        """Its parameters in the path or in the query."""
        return [one["name"] for one in self.described.get("parameters", ()) if one["in"] == where]


class World(Struct, frozen=True, kw_only=True):
    """A gateway with two tenants. `things` are ids of the first one's, by the name parameters have for them."""

    gateway: GatewayProcess
    document: Json
    operations: tuple[Operation, ...]
    key: VirtualKey
    tokens: dict[Role, str]
    stranger: str
    things: dict[str, str]

    def ask(self, operation: Operation, token: str | None, *, real: bool, **given: Any) -> httpx.Response:
        """With the first tenant's ids in the path, or with made-up ones."""
        path = operation.path
        for name in operation.names("path"):
            path = path.replace(f"{{{name}}}", self.things.get(name, MADE_UP) if real else MADE_UP)
        bearer = {} if token is None else {"authorization": f"Bearer {token}"}
        asked = self.required(operation) | given.pop("params", {})
        return self.gateway.http.request(
            operation.method, self.gateway.url + path, headers=bearer, params=asked, **given
        )

    def required(self, operation: Operation) -> Json:
        """The parameters of the query that an operation cannot do without."""
        return {
            one["name"]: least(one["schema"], self.document)
            for one in operation.described.get("parameters", ())
            if one["in"] == "query" and one.get("required")
        }

    def body(self, operation: Operation) -> Any:
        """The least that the schema accepts; None for an operation without a body."""
        wanted = operation.described.get("requestBody")
        if wanted is None:
            return None
        schema = next(iter(wanted["content"].values()))["schema"]
        return least(schema, self.document)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """All the database holds."""
        with sqlite3.connect(f"file:{self.gateway.data_dir / 'aspendos.db'}?mode=ro", uri=True) as database:
            tables = [
                str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            found: dict[str, list[tuple[Any, ...]]] = {}
            for table in tables:
                columns = [row[1] for row in database.execute(f"PRAGMA table_info('{table}')")]
                kept = ", ".join(f'"{column}"' for column in columns if (table, column) not in ITSELF)
                found[table] = sorted(database.execute(f"SELECT {kept} FROM '{table}'"), key=repr)
        database.close()
        return found


def least(schema: Json, document: Json) -> Any:
    """The smallest value a JSON schema accepts, by and large."""
    if "$ref" in schema:
        node: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        return least(node, document)
    for words in ("const", "default"):
        if words in schema:
            return schema[words]
    if "enum" in schema:
        return schema["enum"][0]
    for words in ("oneOf", "anyOf", "allOf"):
        if words in schema:
            return least(schema[words][0], document)
    kind: Any = schema.get("type")
    kind = cast(list[Any], kind)[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties: Json = schema.get("properties", {})
        return {name: least(properties[name], document) for name in schema.get("required", ())}
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    simple: dict[str, Any] = {"array": [], "boolean": False, "null": None}
    return simple.get(str(kind), "x" * max(16, schema.get("minLength", 0)))


@pytest.fixture(scope="module")
def world(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with GatewayProcess(tmp_path_factory.mktemp("tenants"), catalogue(upstream.base_url)) as gateway:
        yield furnish(gateway)


def furnish(gateway: GatewayProcess) -> World:
    """Two tenants, everybody logged in, and one of each thing that has an id."""
    made = made_by(gateway, gateway.admin_key)
    first = made("/admin/v1/organisations", name="acme", owner_email="owner@acme.example")
    made("/admin/v1/organisations", name="rival", owner_email="owner@rival.example")
    for role in Role:
        if role is not Role.OWNER:
            made("/admin/v1/users", email=f"{role}@acme.example", role=role.value, organisation=first["id"])
    tokens = {role: log_in(gateway, f"{role}@acme.example") for role in Role}
    own = made_by(gateway, tokens[Role.OWNER])
    team = own("/admin/v1/teams", name="atlas")
    member = gateway.admin.get(f"{gateway.url}/admin/v1/users/member@acme.example").json()
    gateway.admin.put(f"{gateway.url}/admin/v1/teams/{team['id']}/members/{member['id']}", json={})
    issued = own("/admin/v1/keys", team=team["id"], name="k")
    provider_key = own("/admin/v1/provider-keys?untested=true", provider="fake", key="sk-" + "x" * 40)
    budget = own(
        "/admin/v1/budgets",
        name="b",
        subject={"kind": "organisation", "id": first["id"]},
        period="month",
        amount_usd="10",
    )
    document = gateway.http.get(f"{gateway.url}/schema").json()
    return World(
        gateway=gateway,
        document=document,
        operations=tuple(operations(document)),
        key=gateway.new_key(),
        tokens=tokens,
        stranger=log_in(gateway, "owner@rival.example"),
        things={
            "organisation": first["id"],
            "owner": first["id"],
            "team": team["id"],
            "user": member["id"],
            "key": issued["details"]["id"],
            "provider_key": provider_key["id"],
            "budget": budget["id"],
            "month": "2026-01",
        },
    )


def operations(document: Json) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if path.startswith("/admin/v1") and method in item:
                described = item[method]
                permission = Permission(described["x-permission"])
                yield Operation(method=method, path=path, permission=permission, described=described)


def made_by(gateway: GatewayProcess, token: str) -> Any:
    """Posts what it is given and returns what came of it."""

    def post(path: str, **body: Any) -> Json:
        bearer = {"authorization": f"Bearer {token}"}
        answer = gateway.http.post(gateway.url + path, json=body, headers=bearer)
        assert answer.status_code == 201, f"{path}: {answer.text}"
        return cast(Json, answer.json())

    return post


def log_in(gateway: GatewayProcess, email: str) -> str:
    """Invited, with a password set, and logged in: an access token."""
    invited = gateway.admin.post(f"{gateway.url}/admin/v1/users/{email}/invitation", json={})
    assert invited.status_code == 201, invited.text
    chosen = {"token": invited.json()["token"], "password": PASSWORD}
    answer = gateway.http.post(f"{gateway.url}/auth/password", json=chosen)
    assert answer.status_code == 204, answer.text
    answer = gateway.http.post(f"{gateway.url}/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def refused_for_its_body(operation: Operation, answer: httpx.Response) -> bool:
    """Whether the body was judged before what it is about was looked for: it says nothing of what there is."""
    return (
        answer.status_code == 400 and "requestBody" in operation.described and answer.json()["error"]["param"]
    )


def test_every_operation_says_its_permission_and_who_has_it(world: World) -> None:
    assert len(world.operations) >= 60, "the schema lists them"
    for operation in world.operations:
        assert f"`{operation.permission}`" in operation.described["description"], operation.label
        if operation.method != "get":
            assert not operation.permission.endswith(":read"), f"{operation.label} changes something"


def test_nobody_in_particular_is_let_in(world: World) -> None:
    before = world.state()
    for operation in world.operations:
        for token, status, expected in (
            (None, 401, "missing_api_key"),
            ("wrong", 401, "invalid_api_key"),
            (world.key.text, 403, "key_not_for_management"),
            ("a.b.c", 401, None),
            (world.tokens[Role.OWNER][:-4] + "AAAA", 401, None),
        ):
            answer = world.ask(operation, token, real=True)
            assert answer.status_code == status, f"{operation.label} by {token}: {answer.text}"
            assert expected in (None, code(answer)), f"{operation.label} by {token}: {answer.text}"
    assert world.state() == before


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_its_permissions_say_and_nothing_else(world: World, role: Role) -> None:
    token, before = world.tokens[role], world.state()
    refused = [one for one in world.operations if one.permission not in PERMISSIONS[role]]
    for operation in refused:
        # With real ids, and before anything is said of the body, which is none.
        answer = world.ask(operation, token, real=True)
        assert answer.status_code == 403, f"{operation.label} by {role}: {answer.text}"
        assert code(answer) == "missing_permission", f"{operation.label} by {role}: {answer.text}"
        assert operation.permission.value in answer.json()["error"]["message"]
    assert world.state() == before
    for operation in world.operations:
        if operation not in refused:
            answer = world.ask(operation, token, real=False)
            assert answer.status_code not in (401, 500), f"{operation.label} by {role}: {answer.text}"
            if answer.status_code == 403:
                assert code(answer) != "missing_permission", f"{operation.label} by {role}: {answer.text}"


def test_the_operator_may_do_everything(world: World) -> None:
    for operation in world.operations:
        answer = world.ask(operation, world.gateway.admin_key, real=False)
        assert answer.status_code not in (401, 500), f"{operation.label}: {answer.text}"
        if answer.status_code == 403:  # the admin key is nobody's own
            assert operation.path.startswith("/admin/v1/me/"), f"{operation.label}: {answer.text}"


def test_another_tenants_owner_finds_nothing(world: World) -> None:
    """With true ids and bodies the schema accepts: all is as if it were not there."""
    found_nothing: list[str] = []
    for operation in world.operations:
        if operation.permission not in PERMISSIONS[Role.OWNER]:
            continue
        addressed = [name for name in operation.names("path") if name in world.things and name != "month"]
        before = world.state()
        answer = world.ask(operation, world.stranger, real=True, json=world.body(operation))
        told = f"{operation.label}: {answer.status_code} {answer.text}"
        if addressed and not refused_for_its_body(operation, answer):
            assert answer.status_code == 404, told
            found_nothing.append(operation.label)
        assert answer.status_code != 500, told
        if answer.status_code >= 400:
            assert world.state() == before, told
        sent = {world.things[name] for name in operation.names("path") if name in world.things}
        for thing in {*world.things.values(), "@acme.example"} - sent - {"2026-01"}:
            assert thing not in answer.text, told
    assert len(found_nothing) >= 20, found_nothing


def test_another_tenants_owner_finds_nothing_by_filters_either(world: World) -> None:
    for operation in world.operations:
        if operation.permission not in PERMISSIONS[Role.OWNER]:
            continue
        for name in operation.names("query"):
            if name not in world.things or name == "month":
                continue
            wanted = {name: world.things[name]}
            body, before = world.body(operation), world.state()
            answer = world.ask(operation, world.stranger, real=True, params=wanted, json=body)
            told = f"{operation.label}?{name}: {answer.status_code} {answer.text}"
            if operation.method == "get":
                assert answer.status_code in (200, 404), told
            else:
                assert answer.status_code == 404, told
                assert world.state() == before, told
            for thing in {*world.things.values(), "@acme.example"} - {world.things[name], "2026-01"}:
                assert thing not in answer.text, told


def test_ids_are_no_place_for_sql(world: World) -> None:
    """In every path parameter and every filter, asked by the operator, who sees all."""
    nasty = "x' OR '1'='1"
    before = world.state()
    for operation in world.operations:
        if operation.names("path"):
            path = operation.path
            for name in operation.names("path"):
                path = path.replace(f"{{{name}}}", httpx.URL(f"http://x/{nasty}").raw_path.decode()[1:])
            answer = world.gateway.admin.request(operation.method, world.gateway.url + path, json={})
            assert 400 <= answer.status_code < 500, f"{operation.label}: {answer.status_code} {answer.text}"
        if operation.method == "get":
            for name in operation.names("query"):
                answer = world.ask(operation, world.gateway.admin_key, real=True, params={name: nasty})
                assert answer.status_code < 500, f"{operation.label}?{name}: {answer.text}"
                found = cast(Json, answer.json()) if answer.status_code == 200 else {}
                assert not found.get("data"), f"{operation.label}?{name}: {answer.text}"
    assert world.state() == before
