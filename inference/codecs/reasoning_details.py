"""Reasoning as `reasoning_details` of a chat message: where its opaque pieces travel in OpenAI's chat format. Pure.

OpenAI's own format has no field for them; these are the words of OpenRouter, which its clients read and send back
unchanged. `format` says whose the opaque pieces are.
(https://openrouter.ai/docs/use-cases/reasoning-tokens, Preserving Reasoning Blocks)
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.ir.content import NO_REST, Family, Reasoning, Rest

FORMATS = {
    "anthropic-claude-v1": Family.ANTHROPIC,
    "openai-responses-v1": Family.OPENAI_RESPONSES,
    "google-gemini-v1": Family.GEMINI,
    "aspendos-bedrock-v1": Family.BEDROCK,
    "aspendos-cohere-v1": Family.COHERE,
    "aspendos-mistral-v1": Family.MISTRAL,
}
"""Whose opaque pieces a format means. Every other one is OpenAI's chat family's own affair."""

_NAMES = {family: name for name, family in FORMATS.items()}
_encode = msgspec.json.Encoder().encode


class Detail(Struct, omit_defaults=True):
    """One entry. `reasoning.text` has text and signature, `reasoning.summary` a summary, `reasoning.encrypted` data."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None


def issuer_of(detail: Detail) -> Family | None:
    """Who can read its opaque pieces; None where it has none."""
    if not detail.signature and not detail.data:
        return None
    return FORMATS.get(detail.format or "", Family.OPENAI_CHAT)


def joins(before: Reasoning | None, detail: Detail) -> bool:
    """Whether an entry goes on with the thought before it: OpenAI's thoughts have their data after the summary."""
    return (
        before is not None
        and before.signature is None
        and bool(before.summaries)
        and (detail.type == "reasoning.summary" or detail.format == "openai-responses-v1")
    )


def read_details(details: Iterable[Detail]) -> list[Reasoning]:
    """The thoughts that a message's details are."""
    found: list[Reasoning] = []
    for detail in details:
        before = found[-1] if found else None
        if before is not None and joins(before, detail):
            found[-1] = _joined(before, detail)
        else:
            found.append(_thought(detail))
    return found


def _joined(before: Reasoning, detail: Detail) -> Reasoning:
    if detail.type == "reasoning.summary":
        return msgspec.structs.replace(before, summaries=(*before.summaries, detail.summary or ""))
    return msgspec.structs.replace(
        before,
        signature=detail.data or None,
        issuer=issuer_of(detail) or before.issuer,
        id=detail.id or before.id,
    )


def _thought(detail: Detail) -> Reasoning:
    issuer = issuer_of(detail)
    sealed = detail.data or None
    # OpenAI's encrypted content belongs to a thought it has summarised or not; Anthropic's is a thought not shown.
    redacted = None if issuer is Family.OPENAI_RESPONSES else sealed
    return Reasoning(
        text=detail.text or "",
        summaries=(detail.summary,) if detail.summary else (),
        signature=detail.signature or (sealed if redacted is None else None),
        redacted=redacted,
        issuer=issuer,
        id=detail.id,
        rest=_foreign(detail),
    )


def _foreign(detail: Detail) -> Rest:
    """The format of a family that is not one of ours, given back as it came."""
    if not detail.format or detail.format in FORMATS:
        return NO_REST
    return {"format": Raw(_encode(detail.format))}


def write_details(thought: Reasoning, index: int) -> list[dict[str, Any]]:
    """One thought's entries, all with the `index` of its place among the thoughts."""
    shared: dict[str, Any] = {"format": format_of(thought.issuer, thought.rest), "index": index}
    if thought.id is not None:
        shared["id"] = thought.id
    entries: list[dict[str, Any]] = [
        {"type": "reasoning.summary", "summary": each, **shared} for each in thought.summaries
    ]
    if thought.redacted is not None:
        entries.append({"type": "reasoning.encrypted", "data": thought.redacted, **shared})
    elif thought.issuer is Family.OPENAI_RESPONSES and thought.signature is not None:
        entries.append({"type": "reasoning.encrypted", "data": thought.signature, **shared})
    elif thought.signature is not None:
        entries.append(
            {"type": "reasoning.text", "text": thought.text, "signature": thought.signature, **shared}
        )
    if thought.text and (thought.signature is None or thought.issuer is Family.OPENAI_RESPONSES):
        entries.insert(0, {"type": "reasoning.text", "text": thought.text, **shared})
    return entries


def format_of(issuer: Family | None, rest: Rest = NO_REST) -> str | Raw | None:
    """The name of an issuer's format, as it came where it came with one; None where nothing is opaque."""
    if issuer is None:
        return rest.get("format")
    return rest.get("format") or _NAMES.get(issuer, "unknown")
