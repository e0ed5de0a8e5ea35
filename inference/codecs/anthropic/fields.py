"""DottedFields: objects of Anthropic's, whose mistakes are told as Anthropic tells them. Pure.

Paths are written `messages.0.content.1.text`, and begin the message.
(https://docs.anthropic.com/en/api/errors)
"""

from inference.codecs.fields import Fields
from inference.ir.errors import InvalidField


class DottedFields(Fields):
    """Fields whose errors read `messages.0.content: this field is required`."""

    __slots__ = ()

    @staticmethod
    def place(path: str, number: int) -> str:
        return f"{path}.{number}"

    @staticmethod
    def fault(path: str, said: str, code: str | None = None) -> InvalidField:
        return InvalidField(f"{path}: {said}" if path else said, param=path or None, code=code)

    @staticmethod
    def lacking(path: str) -> InvalidField:
        return InvalidField(f"{path}: this field is required", param=path, code="missing_field")
