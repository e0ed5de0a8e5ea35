"""Neutral paths become the client's: the whole prefix, once, and nothing that is no message's."""

import pytest
from msgspec import Raw

from gateway.dialects.places import NULL, items, respelled, retold
from inference.ir.errors import InvalidField
from inference.ir.place import Place

PLACES = [
    Place(at="system", parts=("system[0]", "system[1]")),
    Place(at="input[0]", parts=("input[0].content", "input[1]"), inner="output"),
    Place(at="contents[0]", parts=("contents[0].parts[0]",), inner=None),
]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("messages[0]", "system"),
        ("messages[0].name", "system.name"),
        ("messages[0].content[1].cache_control", "system[1].cache_control"),
        ("messages[1].content[0].citations", "input[0].content.citations"),
        ("messages[1].content[1].content[2].detail", "input[1].output[2].detail"),
        ("messages[2].content[0].content[2].detail", "contents[0].parts[0].detail"),
        ("messages[2].content[9].detail", "contents[0].detail"),
        ("messages[3].content[9].detail", "messages[3].content[9].detail"),
        ("messages.audio", "messages.audio"),
        ("tools[0].messages[0]", "tools[0].messages[0]"),
        ("logit_bias", "logit_bias"),
    ],
)
def test_a_name_is_respelled(name: str, told: str) -> None:
    assert respelled([name], PLACES) == (told,)


def test_each_name_is_told_once() -> None:
    names = ["messages[2].content[0].content[0]", "messages[2].content[0].content[1]", "seed", "seed"]
    assert respelled(names, PLACES) == ("contents[0].parts[0]", "seed")


def test_a_refusal_is_retold() -> None:
    path = "messages[0].content[1]"
    error = retold(InvalidField(f"What `{path}` holds is none.", param=path, code="invalid_image"), PLACES)
    assert (error.message, error.param, error.code) == (
        "What `system[1]` holds is none.",
        "system[1]",
        "invalid_image",
    )
    for param in ("tools[0]", None):
        other = InvalidField("No.", param=param)
        assert retold(other, PLACES) is other


def test_items_of_a_list_and_what_is_none() -> None:
    assert items(Raw(b"[1,2]"), "x") == ("x[0]", "x[1]")
    assert items(Raw(b'"text"'), "x") == items(Raw(b"{}"), "x") == ("x",)
    assert items(NULL, "x") == items(Raw(b"null"), "x") == ()
