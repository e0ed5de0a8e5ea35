"""One object for every dialect's way to carry what another provider sealed."""

import pytest

from inference.codecs.seal import Seal, prefixed, read, thought, write
from inference.ir.content import Family, Reasoning


@pytest.mark.parametrize(
    "seal",
    [
        Seal(issuer=Family.ANTHROPIC, signature='a"b\\c:é'),
        Seal(issuer=Family.BEDROCK, redacted="zzz"),
        Seal(issuer=Family.OPENAI_RESPONSES, signature="gAAA", id="rs_1"),
        Seal(issuer=Family.GEMINI, signature="s", call="call:1"),
        Seal(issuer=Family.GEMINI, signature="s", text=True),
    ],
)
def test_it_comes_back(seal: Seal) -> None:
    assert read(write(seal)) == seal


@pytest.mark.parametrize("written", [b"", b"{", b"null", b'{"signature":"s"}', b'{"issuer":"nobody"}'])
def test_what_is_none(written: bytes) -> None:
    assert read(written) is None


def test_a_thought_whose_beginning_came_before_its_seal() -> None:
    claudes = thought("b", Seal(issuer=Family.ANTHROPIC, signature="s"))
    assert prefixed("a", claudes) == Reasoning(text="ab", signature="s", issuer=Family.ANTHROPIC)


def test_what_openai_shows_of_a_thought_is_a_summary() -> None:
    seal = Seal(issuer=Family.OPENAI_RESPONSES, signature="gAAA", id="rs_1")
    found = thought("", seal)
    assert (found.text, found.summaries) == ("", ())
    assert prefixed("so", found) == Reasoning(
        summaries=("so",), signature="gAAA", issuer=Family.OPENAI_RESPONSES, id="rs_1"
    )
