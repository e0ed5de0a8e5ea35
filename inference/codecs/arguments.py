"""Arguments of a tool's call in a conversation so far: text to some formats, to others an object. Pure.

A model's own words are not mended: text goes as it is to a format that takes text, and what is no JSON object is
refused, by its path, for one that takes only those. Only half of a character, which many a reader of JSON takes and
others refuse, is told to these as U+FFFD. Answers are another matter: what a model says now is passed on.
"""

import msgspec
from msgspec import Raw

from inference.codecs.surrogates import without_halves
from inference.ir.content import ToolCall
from inference.ir.errors import InvalidField

ARGUMENTS = "arguments"
"""The neutral name of the field, below its call."""
_EMPTY = Raw(b"{}")
_object = msgspec.json.Decoder(dict[str, Raw])


def written_arguments(call: ToolCall, path: str) -> Raw:
    """The arguments as an object, as `object_in` reads them; none are none, a custom tool's text is called `input`.

    `path` is the call's neutral one. Raises InvalidField.
    """
    if call.custom:
        return Raw(msgspec.json.encode({"input": call.arguments}))
    if not call.arguments.strip():
        return _EMPTY
    found = object_in(call.arguments)
    if found is None:
        raise unread_arguments(call, path)
    return found


def object_in(text: str) -> Raw | None:
    """The JSON object that a text is, byte for byte but for halves of characters; None for any other text."""
    data = text.encode()
    if _is_object(data):
        return Raw(data)
    mended = without_halves(data)
    return Raw(mended) if mended != data and _is_object(mended) else None


def _is_object(data: bytes) -> bool:
    try:
        _object.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def unread_arguments(call: ToolCall, path: str) -> InvalidField:
    """The refusal of arguments that are no JSON object."""
    where = f"{path}.{ARGUMENTS}"
    return InvalidField(
        f"Invalid value for `{where}`: the arguments of this call of `{call.name[:100]}` are no JSON object, and what "
        "serves this model takes no others. Mend them, or leave out the call and its result.",
        param=where,
        code="invalid_tool_arguments",
    )
