import pytest

from inference.codecs.gemini.finish import read_finish, word, write_finish
from inference.ir.completion import Finish


@pytest.mark.parametrize(
    ("reason", "calls", "finish"),
    [
        ("STOP", False, Finish.STOP),
        ("STOP", True, Finish.TOOL_CALLS),
        ("MAX_TOKENS", True, Finish.LENGTH),
        ("SAFETY", False, Finish.FILTER),
        ("IMAGE_SAFETY", False, Finish.FILTER),
        ("MALFORMED_FUNCTION_CALL", False, Finish.ERROR),
        ("UNEXPECTED_TOOL_CALL", False, Finish.ERROR),
        ("UNEXPECTED_TOOL_CALL", True, Finish.TOOL_CALLS),
        ("TOO_MANY_TOOL_CALLS", True, Finish.ERROR),
        ("LANGUAGE", False, Finish.FILTER),
        ("OTHER", False, Finish.FILTER),
        ("NO_IMAGE", False, Finish.ERROR),
        ("SOMETHING_NEW", False, Finish.FILTER),
        ("FINISH_REASON_UNSPECIFIED", False, Finish.OTHER),
    ],
)
def test_reasons_are_read(reason: str, calls: bool, finish: Finish) -> None:
    assert read_finish(reason, calls=calls) is finish


def test_numbers_have_names() -> None:
    assert (word(1), word(2), word(99), word("STOP"), word(None)) == (
        "STOP",
        "MAX_TOKENS",
        "OTHER",
        "STOP",
        None,
    )


def test_reasons_are_written_and_googles_own_come_back() -> None:
    assert write_finish(Finish.TOOL_CALLS, "tool_calls", own=False) == "STOP"
    assert write_finish(Finish.LENGTH, None, own=False) == "MAX_TOKENS"
    assert write_finish(Finish.ERROR, "x", own=False) == "OTHER"
    assert write_finish(Finish.FILTER, "RECITATION", own=True) == "RECITATION"
