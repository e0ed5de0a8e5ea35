"""Absent paths: what is said where nothing is served. Most often an SDK was given the base URL of another. Pure."""

import re

from inference.ir.content import Family
from inference.ir.errors import NotFound

_BASE = r"(?P<base>(?:/(?:v1|v2|v1beta|api|openai|anthropic|gemini))*)/"
_TAILS: dict[Family, tuple[re.Pattern[str], str, str]] = {
    Family.ANTHROPIC: (
        re.compile(_BASE + r"(?P<tail>messages(?:/count_tokens)?|models(?:/.+)?)"),
        "/v1/",
        "the base URL of Anthropic's SDK is without /v1",
    ),
    Family.GEMINI: (
        re.compile(_BASE + r"(?P<tail>models(?:/.+)?)", re.DOTALL),
        "/v1beta/",
        "the base URL of Google's SDK is without a version",
    ),
    Family.OPENAI_CHAT: (
        re.compile(
            _BASE + r"(?P<tail>chat/completions|completions|embeddings|moderations|translate|"
            r"audio/(?:speech|transcriptions|translations)|images/(?:generations|edits|variations)|"
            r"(?:responses|models|files|batches)(?:/.+)?)"
        ),
        "/v1/",
        "the base URL of OpenAI's SDK ends in /v1",
    ),
}
"""By whose client asks: the ends of paths that are served, what belongs before them, and what its SDK wants."""
_RERANK = re.compile(_BASE + r"rerank")


def nothing_at(path: str, family: Family) -> NotFound:
    """What a client of that family is told of a path (unquoted, without a query) at which nothing is served."""
    said = f"There is nothing at {path}."
    hint = _hint(path, family)
    return NotFound(f"{said} {hint}" if hint else f"{said} GET /schema lists what there is.")


def _hint(path: str, family: Family) -> str | None:
    slashed, path = path, path.rstrip("/")
    ranking = _RERANK.fullmatch(path)
    if ranking is not None and ranking["base"] in ("/v1", "/v2"):
        return f"It is at {path}: without a slash at its end."
    if ranking is not None:
        return "It is at /v1/rerank and /v2/rerank: the base URL of Cohere's SDK is without a version."
    pattern, begin, why = _TAILS[family]
    found = pattern.fullmatch(path)
    if found is None:
        return None
    if found["base"] in ("/v1", "/v1beta"):
        return f"It is at {path}: without a slash at its end." if slashed != path else None
    return f"It is at {begin}{found['tail']}: {why}."
