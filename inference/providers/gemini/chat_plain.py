"""Plain: the answer that most calls get, one text with nothing beside it, read in one go. Pure.

Whatever else an answer holds (calls, thoughts, signatures, sources, a field we have no word for) makes it no plain
one; then `chat_completion` reads it part by part. Both read a plain answer alike; this way costs a third.
(https://ai.google.dev/api/generate-content#GenerateContentResponse)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from inference.codecs.gemini.usage import UsageMetadata, read_usage
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Text

_FINISH = {"STOP": Finish.STOP, "MAX_TOKENS": Finish.LENGTH}


class _Part(Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1)]


class _Content(Struct, forbid_unknown_fields=True):
    parts: Annotated[list[_Part], Meta(min_length=1, max_length=1)]
    role: str | None = None


class _Candidate(Struct, forbid_unknown_fields=True, rename="camel"):
    content: _Content
    finish_reason: Literal["STOP", "MAX_TOKENS"]
    index: int = 0


class _Answer(Struct, forbid_unknown_fields=True, rename="camel"):
    candidates: Annotated[list[_Candidate], Meta(min_length=1, max_length=1)]
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def read_plain(body: bytes) -> Completion | None:
    """The answer, or None where it is no plain one, or none at all."""
    try:
        said = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it part by part finds out what it is
    found, usage = said.candidates[0], said.usage_metadata
    word = found.finish_reason
    return Completion(
        family=Family.GEMINI,
        id=said.response_id,
        model=said.model_version,
        choices=(
            Choice(
                parts=(Text(text=found.content.parts[0].text),),
                finish=_FINISH[word],
                native=word,
                index=found.index,
            ),
        ),
        usage=read_usage(usage),
        service_tier=None if usage is None else usage.service_tier,
    )
