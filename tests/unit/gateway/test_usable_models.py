"""What may be asked for by name, and what is said of names that may not."""

from pathlib import Path

import pytest

from gateway.routing.table import RoutingTable
from inference.ir.cards import Kind
from inference.ir.errors import (
    AspendosError,
    ModelNotAllowed,
    ModelNotFound,
    Unavailable,
)
from tests.admission_world import admit, principal, table_in


@pytest.fixture
def table(tmp_path: Path) -> RoutingTable:
    return table_in(tmp_path)


async def test_names_and_aliases_are_found(table: RoutingTable) -> None:
    assert await admit(table, principal(), "chat-one") == "chat-one"
    assert await admit(table, principal(), "one") == "chat-one"


async def test_an_allow_list_may_name_a_model_or_its_alias(table: RoutingTable) -> None:
    assert await admit(table, principal("one"), "one") == "chat-one"
    assert await admit(table, principal("chat-*"), "one") == "chat-one"
    with pytest.raises(ModelNotAllowed, match="secret"):
        await admit(table, principal("chat-*"), "secret")
    with pytest.raises(ModelNotAllowed, match="team"):
        await admit(table, principal(team=("chat-*",)), "secret")


@pytest.mark.parametrize(
    ("model", "kind", "error", "code", "says"),
    [
        ("chat-onee", Kind.CHAT, ModelNotFound, "model_not_found", "Did you mean `chat-one`"),
        ("zzz", Kind.CHAT, ModelNotFound, "model_not_found", "GET /v1/models"),
        ("vectors", Kind.CHAT, ModelNotFound, "wrong_model_kind", "kind `embedding`"),
        ("chat-one", Kind.EMBEDDING, ModelNotFound, "wrong_model_kind", "kind `chat`"),
        ("sleeping", Kind.CHAT, Unavailable, "model_off", "switched off"),
        ("x" * 5000, Kind.CHAT, ModelNotFound, "model_not_found", "…"),
    ],
)
async def test_what_cannot_be_had_says_why(
    table: RoutingTable, model: str, kind: Kind, error: type[AspendosError], code: str, says: str
) -> None:
    with pytest.raises(error) as caught:
        await admit(table, principal(), model, kind)
    assert caught.value.code == code
    assert caught.value.param == "model"
    assert says in caught.value.message
    assert len(caught.value.message) < 500


async def test_nearest_names_never_tell_of_models_a_key_may_not_use(table: RoutingTable) -> None:
    with pytest.raises(ModelNotFound) as caught:
        await admit(table, principal("chat-*"), "secre")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("asked", "kind", "near"),
    [
        ("sleepin", Kind.CHAT, "sleeping"),
        ("vector", Kind.CHAT, "vectors"),
        ("chat-on", Kind.EMBEDDING, "chat-one"),
    ],
    ids=["off", "embedding-in-chat", "chat-in-embeddings"],
)
async def test_nearest_names_are_of_models_that_would_answer(
    table: RoutingTable, asked: str, kind: Kind, near: str
) -> None:
    assert near in table.routes
    with pytest.raises(ModelNotFound) as caught:
        await admit(table, principal(), asked, kind)
    assert near not in caught.value.message
