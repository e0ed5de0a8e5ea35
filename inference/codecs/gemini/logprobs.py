"""Log probabilities: Gemini's two lists into OpenAI's one, and back. Pure.

(https://ai.google.dev/api/generate-content#LogprobsResult)
"""

import msgspec
from msgspec import Raw, Struct


class _Token(Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(Struct, rename="camel"):
    candidates: list[_Token] | None = None


class _Result(Struct, rename="camel"):
    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Top] | None = None


class _Rival(Struct):
    token: str = ""
    logprob: float = 0.0


class _Said(Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Rival] | None = None


class _Content(Struct):
    content: list[_Said] | None = None


_result = msgspec.json.Decoder(_Result)
_content = msgspec.json.Decoder(_Content)


def read_logprobs(result: Raw) -> Raw | None:
    """`logprobsResult` as OpenAI's `{"content": [...]}`; None where it cannot be read."""
    try:
        said = _result.decode(result)
    except msgspec.DecodeError:
        return None
    tops = said.top_candidates or []
    content: list[dict[str, object]] = []
    for place, chosen in enumerate(said.chosen_candidates or []):
        rivals = (tops[place].candidates or []) if place < len(tops) else []
        told = _told(chosen)
        told["top_logprobs"] = [_told(each) for each in rivals]
        content.append(told)
    return Raw(msgspec.json.encode({"content": content}))


def write_logprobs(pieces: list[Raw]) -> Raw | None:
    """OpenAI's lists, one after the other, as a `logprobsResult`; None where there is nothing in them."""
    chosen: list[dict[str, object]] = []
    tops: list[dict[str, object]] = []
    for piece in pieces:
        try:
            said = _content.decode(piece).content or []
        except msgspec.DecodeError:
            continue
        for each in said:
            chosen.append({"token": each.token, "logProbability": each.logprob})
            rivals = each.top_logprobs or []
            tops.append({"candidates": [{"token": r.token, "logProbability": r.logprob} for r in rivals]})
    if not chosen:
        return None
    return Raw(msgspec.json.encode({"chosenCandidates": chosen, "topCandidates": tops}))


def _told(token: _Token) -> dict[str, object]:
    bytes_ = list(token.token.encode())
    return {"token": token.token, "logprob": token.log_probability, "bytes": bytes_}
