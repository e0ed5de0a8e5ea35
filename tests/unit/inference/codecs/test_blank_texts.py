"""Blank texts: white space joins the text beside it, in its order; nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from inference.codecs.blank_texts import Block, without_blanks

CALL: Block = {"type": "tool_use", "id": "c"}


def said(*texts: str) -> list[Block | Raw]:
    return [{"type": "text", "text": text} for text in texts]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (said("Here is a list:", "\n\n", "1. one"), said("Here is a list:\n\n", "1. one")),
        (said("\n", " ", "Hi"), said("\n Hi")),
        ([*said("\n\n"), CALL], [CALL]),
        ([CALL, *said(" "), *said("Hi")], [CALL, *said(" Hi")]),
        ([*said("Hi"), CALL, *said("\n")], [*said("Hi"), CALL]),
        (said(" ", "\n"), []),
        ([Raw(b'{"type":"x"}'), *said("a")], [Raw(b'{"type":"x"}'), *said("a")]),
    ],
)
def test_blank_blocks_are_gone(before: list[Block | Raw], after: list[Block | Raw]) -> None:
    assert without_blanks(before) == after


@given(st.lists(st.sampled_from(["a", "b ", " ", "\n", "\u00a0"])))
def test_no_letter_is_lost_and_no_blank_left(texts: list[str]) -> None:
    found = [str(block["text"]) for block in without_blanks(said(*texts)) if isinstance(block, dict)]
    assert all(text.strip() for text in found)
    if found:
        assert "".join(found) == "".join(texts)


def test_what_was_given_stays_as_it_is() -> None:
    given = said("a", " ")
    without_blanks(given)
    assert given == said("a", " ")
