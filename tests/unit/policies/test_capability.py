"""What a model is declared not to take is refused, with those that do; the rest is its provider's to say."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.ir.cards import Kind, Model, Price
from inference.ir.need import Need
from policies.capability import HINTS, LACKS, incapable, lacking

PRICE = Price(input=1, output=1, version="p")
SCHEMA = Path(__file__).parents[3] / "config" / "models.schema.json"


def model(name: str, *capabilities: str, declares: bool = True) -> Model:
    return Model(
        name=name, kind=Kind.CHAT, price=PRICE, capabilities=frozenset(capabilities), declares=declares
    )


def needs(*capabilities: str) -> list[Need]:
    return [Need(capability=each, param=f"field.{each}") for each in capabilities]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((), None),
        (("tools",), None),
        (("vision",), "vision"),
        (("tools", "audio_input", "vision"), "audio_input"),
    ],
)
def test_the_first_thing_that_lacks(asked: tuple[str, ...], expected: str | None) -> None:
    need = lacking(model("m", "tools"), needs(*asked))
    assert (need and need.capability) == expected


def test_what_is_not_declared_is_not_refused() -> None:
    assert lacking(model("m", declares=False), needs(*LACKS)) is None
    assert lacking(model("m"), needs("tools")) == needs("tools")[0]


def test_every_word_the_catalogue_takes_is_enforced_or_a_hint() -> None:
    schema: dict[str, Any] = json.loads(SCHEMA.read_bytes())
    given = schema["$defs"]["ModelEntry"]["properties"]["capabilities"]["items"]["enum"]
    assert sorted(given) == sorted([*LACKS, *HINTS])


def test_the_refusal_names_the_capability_and_who_has_it() -> None:
    others = [model(f"eye-{number}", "vision") for number in range(7)] + [model("blind", "tools")]
    error = incapable("alias", Need(capability="vision", param="messages[0].content[1]"), others)
    assert (error.http_status, error.code, error.param) == (
        400,
        "capability_missing",
        "messages[0].content[1]",
    )
    assert "`alias`" in error.message
    assert "`vision`" in error.message
    assert "`messages[0].content[1]`" in error.message
    assert "`eye-4` and 2 more" in error.message
    assert "blind" not in error.message
    assert "No model" in incapable("m", needs("tools")[0], []).message
