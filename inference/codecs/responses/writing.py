"""Items written: what a model said or called, and what tools answered, as items of this format. Pure."""

from collections.abc import Sequence

from msgspec import Raw

from inference.codecs.responses.parts import OWN, write_citation, write_given
from inference.codecs.responses.seals import Seal, write_seal
from inference.ir.content import NO_REST, Opaque, Part, Reasoning, Refusal, Rest, Text, ToolCall, ToolResult

Item = dict[str, object] | Raw


def said_text(part: Text, own: bool, dropped: list[str], at: str) -> dict[str, object]:
    """A text of the model's. `at` is the part's path in the client's words, under which a loss is named."""
    cited = [write_citation(each) for each in part.citations]
    if None in cited:
        dropped.append(f"{at}.citations")
    found: dict[str, object] = {
        "type": "output_text",
        "text": part.text,
        "annotations": [each for each in cited if each is not None],
    }
    return found | part.rest if own else found


def said_message(content: Sequence[object], name: str | None) -> dict[str, object]:
    """A message of the model's."""
    found: dict[str, object] = {"type": "message", "role": "assistant", "content": content}
    return found if name is None else {"id": name, "status": "completed", **found}


def told_messages(content: Sequence[object]) -> list[Item]:
    """The same by a client of another format, whose messages have no ids: OpenAI's types take only text without.

    One message for each text; what is more than text stays as it is, which OpenAI's service takes all the same.
    """
    texts = [_plain_text(each) for each in content]
    if None in texts:
        return [said_message(tuple(content), None)]
    return [{"type": "message", "role": "assistant", "content": text} for text in texts]


def _plain_text(part: object) -> str | None:
    match part:
        case {"type": "output_text", "text": str(text), "annotations": []}:
            return text
        case _:
            return None


def call_item(call: ToolCall, name: str | None, own: bool) -> dict[str, object]:
    """A call of a function, or of a tool that takes any text."""
    custom = call.custom
    found: dict[str, object] = {
        "type": "custom_tool_call" if custom else "function_call",
        "call_id": call.id,
        "name": call.name,
        "input" if custom else "arguments": call.arguments,
    }
    if name is not None:
        found["id"] = name
    return found | call.rest if own else found


def seal_of(part: Text | ToolCall) -> str | None:
    """The signature of a part that is no reasoning, as the content of an item that follows it."""
    if part.signature is None or part.issuer is None:
        return None
    if isinstance(part, Text):
        return write_seal(Seal(issuer=part.issuer, signature=part.signature, text=True))
    return write_seal(Seal(issuer=part.issuer, signature=part.signature, call=part.id))


def reasoning_item(part: Reasoning, name: str | None, own: bool) -> dict[str, object]:
    """What a model thought, other providers' signatures wrapped."""
    found: dict[str, object] = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in part.summaries],
    }
    if name is not None:
        found["id"] = name
    if part.text:
        found["content"] = [{"type": "reasoning_text", "text": part.text}]
    if part.issuer is not None and (part.signature is not None or part.redacted is not None):
        found["encrypted_content"] = write_seal(
            Seal(issuer=part.issuer, signature=part.signature, redacted=part.redacted)
        )
    return found | part.rest if own else found


def result_item(result: ToolResult, own: bool, dropped: list[str], at: str) -> dict[str, object]:
    """What a tool answered: text where it is only that, else parts."""
    output: object
    if len(result.content) == 1 and isinstance(only := result.content[0], Text) and not only.rest:
        output = only.text
    else:
        written = [write_given(part, own) for part in result.content]
        dropped += [f"{at}.content[{n}]" for n, each in enumerate(written) if each is None]
        if not own:
            dropped += [
                f"{at}.content[{n}].{key}" for n, each in enumerate(result.content) for key in _rest(each)
            ]
        output = [each for each in written if each is not None]
    if result.error:
        dropped.append(f"{at}.is_error")
    found: dict[str, object] = {
        "type": "custom_tool_call_output" if result.custom else "function_call_output",
        "call_id": result.call_id,
        "output": output,
    }
    return found | result.rest if own else found


def _rest(part: Part) -> Rest:
    return NO_REST if isinstance(part, Opaque | Refusal) else part.rest


def said_items(
    parts: Sequence[Part], *, name: str | None, own: bool, rest: dict[str, Raw], dropped: list[str], at: str
) -> list[Item]:
    """A turn of the model's as input items. `name` is its message's id, `rest` that message's own fields."""
    items: list[Item] = []
    content: list[object] = []

    def close() -> None:
        if content and own:
            items.append(said_message(tuple(content), name) | rest)
        elif content:
            items.extend(told_messages(content))
        content.clear()

    for n, part in enumerate(parts):
        where = f"{at}.content[{n}]"
        if isinstance(part, Text):
            content.append(said_text(part, own, dropped, where))
        elif isinstance(part, Refusal):
            content.append({"type": "refusal", "refusal": part.text})
        else:
            close()
            item = _other(part, own, dropped, where)
            if item is not None:
                items.append(item)
    close()
    return items


def _other(part: Part, own: bool, dropped: list[str], at: str) -> Item | None:
    match part:
        case ToolCall():
            return call_item(part, part.item_id, own)
        case Reasoning() if part.issuer is OWN or (own and part.issuer is None):
            return reasoning_item(part, part.id, own)
        case Reasoning(signature=None, redacted=None, issuer=None):
            return None  # what nobody sealed OpenAI cannot take back, be it its own: no loss
        case Opaque(family=family) if family is OWN:
            return part.raw
        case _:
            dropped.append(at)
            return None
