"""What a model is declared not to take is refused, with those that do; the rest is its provider's to say."""

import pytest

from inference.ir.cards import Kind, Model, Price
from policies.capability import incapable, lacking

PRICE = Price(input=1, output=1, version="p")


def model(name: str, *capabilities: str, declares: bool = True) -> Model:
    return Model(
        name=name, kind=Kind.CHAT, price=PRICE, capabilities=frozenset(capabilities), declares=declares
    )


@pytest.mark.parametrize(
    ("tools", "pictures", "audio", "expected"),
    [
        (False, False, False, None),
        (True, False, False, None),
        (False, True, False, "vision"),
        (False, False, True, "audio_input"),
        (True, True, True, "vision"),
    ],
)
def test_the_first_thing_that_lacks(tools: bool, pictures: bool, audio: bool, expected: str | None) -> None:
    assert lacking(model("m", "tools"), tools=tools, pictures=pictures, audio=audio) == expected


def test_what_is_not_declared_is_not_refused() -> None:
    assert lacking(model("m", declares=False), tools=True, pictures=True, audio=True) is None
    assert lacking(model("m"), tools=True, pictures=False, audio=False) == "tools"


def test_the_refusal_names_the_capability_and_who_has_it() -> None:
    others = [model(f"eye-{number}", "vision") for number in range(7)] + [model("blind", "tools")]
    error = incapable(model("m"), "alias", "vision", others)
    assert (error.http_status, error.code, error.param) == (400, "capability_missing", "messages")
    assert "`alias`" in error.message
    assert "`vision`" in error.message
    assert "`eye-4` and 2 more" in error.message
    assert "blind" not in error.message
    assert "No model" in incapable(model("m"), "m", "tools", []).message
