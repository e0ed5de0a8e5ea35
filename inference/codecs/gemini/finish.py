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
    "MALFORMED_FUNCTION_CALL": Finish.ERROR,
    "UNEXPECTED_TOOL_CALL": Finish.ERROR,
    "TOO_MANY_TOOL_CALLS": Finish.ERROR,
    "MISSING_THOUGHT_SIGNATURE": Finish.ERROR,
    "MALFORMED_RESPONSE": Finish.ERROR,
}
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
    """What a reason means. Gemini stops for the calls it made as it stops for anything: only the parts tell."""
    finish = _READ.get(reason, Finish.OTHER)
    return Finish.TOOL_CALLS if calls and finish is Finish.STOP else finish


def write_finish(finish: Finish | None, native: str | None, *, own: bool) -> str:
    """Gemini's word; its own comes back as it was."""
    if own and native is not None:
        return native
    return _WRITTEN.get(finish, "OTHER") if finish is not None else "STOP"
