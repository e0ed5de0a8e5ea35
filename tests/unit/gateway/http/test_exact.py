"""Bodies of the management API: what is no number is no amount, and what nobody knows is refused by name."""

from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Controller, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from gateway.http.auth import admin_handlers
from gateway.http.exact import exact_body
from tests.admin_app import admin_app
from tests.control_plane import Plane
from tests.whole_app import whole_app


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of an order."""

    amount_minor: int


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an order looks like."""

    amount_nano: Annotated[int, Meta(ge=1, le=100)] | None = None
    name: str = ""
    on: bool = False
    parts: tuple[Part, ...] = ()


class Orders(Controller):
    """Says what it read."""

    path = "/orders"

    @post("/")
    async def make(self, data: JSONBody[Order | None] = None) -> Any:
        return msgspec.to_builtins(data)


async def ask(plane: Plane, body: bytes) -> tuple[int, Any]:
    transport = ASGITransport(admin_app(plane, [Orders]))  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.post("/orders", content=body, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"amount_nano": "5"}', "amount_nano"),
        (b'{"amount_nano": 5.0}', "amount_nano"),
        (b'{"amount_nano": 1e1}', "amount_nano"),
        (b'{"on": "true"}', "on"),
        (b'{"on": 1}', "on"),
        (b'{"parts": [{"amount_minor": 1}, {"amount_minor": "1"}]}', "parts[1].amount_minor"),
    ],
)
async def test_nothing_is_converted(plane: Plane, body: bytes, param: str) -> None:
    status, answer = await ask(plane, body)
    assert status == 400
    assert answer["error"]["param"] == param
    assert "nothing is converted" in answer["error"]["message"]


async def test_what_is_written_as_it_should_be_is_read(plane: Plane) -> None:
    status, answer = await ask(plane, b'{"amount_nano": 5, "name": "5", "on": true}')
    assert (status, answer["amount_nano"], answer["name"], answer["on"]) == (201, 5, "5", True)
    assert (await ask(plane, b""))[0] == 201


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": 5}',
        b'{"amount_nano": " 5"}',
        b'{"amount_nano": 0}',
        b'{"amount_nano": "x"}',
        b"[",
        b'{"name": 5}',
        b"[]",
    ],
)
async def test_other_mistakes_are_told_as_ever(plane: Plane, body: bytes) -> None:
    status, answer = await ask(plane, body)
    assert status == 400
    if body == b'{"amount": 5}':
        assert answer["error"]["param"] == "amount"
        assert answer["error"]["message"] == (
            "There is no field `amount` here. Did you mean `amount_nano`? "
            "Known are `amount_nano`, `name`, `on`, `parts`."
        )


@pytest.mark.parametrize(
    ("body", "code", "param", "words"),
    [
        (
            b'{"parts": [{"amount_minor": 1}, {}]}',
            "missing_field",
            "parts[1].amount_minor",
            "Missing required field",
        ),
        (
            b'{"parts": [{"amount": 1}]}',
            "invalid_value",
            "parts[0].amount",
            "There is no field `parts[0].amount` here. Did you mean `amount_minor`? Known are `amount_minor`.",
        ),
        (b'{"parts": 1}', "invalid_value", "parts", "Invalid value for `parts`: expected an array"),
        (b'{"on": true,}', "invalid_json", None, "line 1, column 13"),
    ],
)
async def test_what_is_missing_or_wrong_is_told_with_its_place(
    plane: Plane, body: bytes, code: str, param: str | None, words: str
) -> None:
    status, answer = await ask(plane, body)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, code, param)
    assert words in answer["error"]["message"]


async def test_every_body_of_the_management_api_is_exact_and_forbids_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    """A field that is misspelt, or in the wrong place, must not be a field that was left out."""
    bodies: dict[str, Any] = {}
    async with whole_app(tmp_path) as app:
        for path, handler in admin_handlers(app):
            hook = handler.resolve_before_request()
            assert getattr(hook, "func", hook) is exact_body, path
            if handler.parsed_data_field is not None:
                bodies[f"{path} {sorted(handler.http_methods)}"] = handler.parsed_data_field.annotation
    assert len(bodies) > 30
    careless = {
        f"{name}: {struct.cls.__name__}"
        for name, body in bodies.items()
        for struct in structs(msgspec.inspect.type_info(body))
        if not struct.cls.__struct_config__.forbid_unknown_fields
    }
    assert careless == set()


def structs(found: Any) -> list[msgspec.inspect.StructType]:
    """Every struct in a type, each once."""
    seen: dict[type, msgspec.inspect.StructType] = {}

    def walk(kind: object) -> None:
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls in seen:
                return
            seen[kind.cls] = kind
            for field in kind.fields:
                walk(field.type)
        for name in ("type", "types", "item_type", "item_types", "key_type", "value_type"):
            inner: Any = getattr(kind, name, ())
            listed = cast("tuple[object, ...]", inner if isinstance(inner, tuple) else (inner,))
            for one in listed:
                if isinstance(one, msgspec.inspect.Type):
                    walk(one)

    walk(found)
    return list(seen.values())
