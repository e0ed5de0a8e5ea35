"""Conversations in this dialect: a request read, answers written whole or as events. Pure."""

from collections.abc import Sequence

from gateway.dialects.dialect import Rendered, Setting
from gateway.dialects.openai_responses.answer import answer
from gateway.dialects.openai_responses.parse import parse
from gateway.dialects.openai_responses.places import places
from gateway.dialects.openai_responses.writer import ResponsesWriter
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.place import Place


class Responses:
    """What a model of another format answers, told to a client that speaks this one."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises InvalidField with the field's path."""
        return parse(body)

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in the request each of its messages stands."""
        return places(body)

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
        """A whole response object."""
        return answer(completion, asked, setting)

    def writer(self, asked: ChatRequest, setting: Setting) -> ResponsesWriter:
        """The events of one stream."""
        return ResponsesWriter(asked, setting)
