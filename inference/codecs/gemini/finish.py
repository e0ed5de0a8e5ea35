"""Finish reasons in Gemini's words, both ways. Pure. (https://ai.google.dev/api/generate-content#FinishReason)"""

from inference.ir.completion import Finish

_READ = {
    "STOP": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    "SAFETY": Finish.FILTER,
    "RECITATION": Finish.FILTER,
    "BLOCKLIST": Finish.FILTER,
    "PROHIBITED_CONTENT": Finish.FILTER,
    "SPII": Finish.FILTER,
    "IMAGE_SAFETY": Finish.FILTER,
    "IMAGE_PROHIBITED_CONTENT": Finish.FILTER,
    "IMAGE_RECITATION": Finish.FILTER,
    "MODEL_ARMOR": Finish.FILTER,
    "LANGUAGE": Finish.FILTER,
    "OTHER": Finish.FILTER,
    "IMAGE_OTHER": Finish.FILTER,
    "NO_IMAGE": Finish.ERROR,
    "MALFORMED_FUNCTION_CALL": Finish.ERROR,
    "UNEXPECTED_TOOL_CALL": Finish.ERROR,
    "TOO_MANY_TOOL_CALLS": Finish.ERROR,
    "MISSING_THOUGHT_SIGNATURE": Finish.ERROR,
    "MALFORMED_RESPONSE": Finish.ERROR,
}
"""Gemini has two words for an answer that ended; all others, and so those that are yet to come, say that it did not.
`OTHER` is what it says where it keeps the reason to itself."""
_UNSAID = "FINISH_REASON_UNSPECIFIED"
_UNOFFERED = "UNEXPECTED_TOOL_CALL"
_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
)
_WRITTEN = {
    Finish.STOP: "STOP",
    Finish.TOOL_CALLS: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.CONTEXT: "MAX_TOKENS",
    Finish.FILTER: "SAFETY",
    Finish.REFUSAL: "SAFETY",
}
MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"


def word(reason: str | int | None) -> str | None:
    """A reason's name; Vertex has been seen to send its number."""
    if isinstance(reason, int):
        return _NUMBERS[reason] if 0 <= reason < len(_NUMBERS) else "OTHER"
    return reason or None


def read_finish(reason: str, *, calls: bool) -> Finish:
    """What a reason means. Gemini stops for the calls it made as it stops for anything: only the parts tell.

    A call of a tool that was not offered is a call where it is there, and its client's to answer.
    """
    if calls and reason in ("STOP", _UNOFFERED):
        return Finish.TOOL_CALLS
    return Finish.OTHER if reason == _UNSAID else _READ.get(reason, Finish.FILTER)


def write_finish(finish: Finish | None, native: str | None, *, own: bool) -> str:
    """Gemini's word; its own comes back as it was."""
    if own and native is not None:
        return native
    return _WRITTEN.get(finish, "OTHER") if finish is not None else "STOP"
