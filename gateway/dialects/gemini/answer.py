"""Answers for Gemini's clients, whoever gave them. Pure.

(https://ai.google.dev/api/generate-content#GenerateContentResponse)
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, structs

from gateway.dialects.dialect import Rendered, Setting
from inference.codecs.gemini.finish import MALFORMED_CALL, write_finish
from inference.codecs.gemini.grounding import write_grounding
from inference.codecs.gemini.logprobs import write_logprobs
from inference.codecs.gemini.usage import write_usage
from inference.codecs.gemini.writing import NotAnObject, write_part
from inference.ir.completion import Choice, Completion
from inference.ir.content import Citation, Family, Part, Rest, Text, ToolCall
from inference.ir.usage import UsageSource

Written = dict[str, object]
_encode = msgspec.json.Encoder().encode
_MESSAGE_LIMIT = 4000


def answer(completion: Completion, setting: Setting) -> Rendered:
    """The whole answer, and the names of what could not be said in it."""
    own = completion.family is Family.GEMINI
    dropped: dict[str, None] = {}
    body: Written = {}
    candidates = [_candidate(each, own, dropped) for each in completion.choices]
    if own:
        body.update(completion.rest)
    else:
        dropped |= dict.fromkeys(completion.rest)
    if not is_refusal(completion.choices, completion.rest, own=own):
        body = {"candidates": candidates, **body}
    if completion.usage.source is not UsageSource.NONE:
        body["usageMetadata"] = write_usage(completion.usage)
    body["modelVersion"] = completion.model or setting.model
    body["responseId"] = completion.id or setting.id
    return Rendered(_encode(body), tuple(dropped))


def is_refusal(choices: tuple[Choice, ...], rest: Rest, *, own: bool) -> bool:
    """Whether it is a prompt refused as a whole, to which Gemini says why and gives no candidate."""
    return own and "promptFeedback" in rest and all(not choice.parts for choice in choices)


def _candidate(choice: Choice, own: bool, dropped: dict[str, None]) -> Written:
    parts: list[Written | Raw] = []
    citations: list[Citation] = []
    text = ""
    malformed: str | None = None
    for place, part in enumerate(choice.parts):
        where = f"candidates[{choice.index}].content.parts[{place}]"
        if isinstance(part, Text):
            citations += [moved(each, len(text)) for each in part.citations]
            text += part.text
        try:
            written = write_answer_part(part, _naming(where, dropped), own=own)
        except NotAnObject:
            assert isinstance(part, ToolCall)
            malformed = malformed_call(part)
            continue
        if written is not None:
            parts.append(written)
    if choice.stop_sequence is not None:
        dropped["stop_sequence"] = None
    if not own:
        dropped |= dict.fromkeys(choice.rest)
    logprobs = [] if choice.logprobs is None else [choice.logprobs]
    grounding = None if own else write_grounding(citations, text)
    if not own and any(each.url is None for each in citations):
        dropped["citations"] = None
    return {
        "content": {"parts": parts, "role": "model"},
        **closing(choice, own=own, logprobs=logprobs, grounding=grounding, malformed=malformed),
    }


def closing(
    choice: Choice, *, own: bool, logprobs: list[Raw], grounding: Raw | None, malformed: str | None
) -> Written:
    """What stands beside the content of a candidate that is complete."""
    said: Written = {"finishReason": write_finish(choice.finish, choice.native, own=own)}
    if malformed is not None:
        said |= {"finishReason": MALFORMED_CALL, "finishMessage": malformed}
    elif choice.explanation is not None:
        said["finishMessage"] = choice.explanation
    said["index"] = choice.index
    if own:
        said.update(choice.rest)
    if grounding is not None:
        said["groundingMetadata"] = grounding
    result = write_logprobs(logprobs)
    if result is not None:
        said["logprobsResult"] = result
    return said


def write_answer_part(part: Part, drop: Callable[[str], None], *, own: bool) -> Written | Raw | None:
    """One part; citations are said beside the content. Raises NotAnObject."""
    if isinstance(part, Text) and part.citations:
        part = structs.replace(part, citations=())
    return write_part(part, drop, own=own, names={}, answer=True)


def malformed_call(part: ToolCall) -> str:
    """How Gemini itself reports a call whose arguments are no object."""
    return f"Malformed function call: {part.name}({part.arguments})"[:_MESSAGE_LIMIT]


def _naming(where: str, dropped: dict[str, None]) -> Callable[[str], None]:
    def drop(name: str) -> None:
        dropped[f"{where}.{name}" if name else where] = None

    return drop


def moved(citation: Citation, by: int) -> Citation:
    """The citation, counted from a place `by` characters before."""
    if not by or citation.end is None:
        return citation
    return structs.replace(citation, start=(citation.start or 0) + by, end=citation.end + by)
