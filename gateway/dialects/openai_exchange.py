"""OpenAIExchange: what dialects share that ask once and are answered once, with OpenAI's errors. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.openai_errors import OpenAIVoice, error_body
from inference.codecs.form import Form, read_form
from inference.ir.errors import AspendosError
from inference.wire import Tap


class OpenAIExchange(ABC):
    """A dialect but for its `route`, its `kind`, and how its words are read and written."""

    chat: ChatDialect | None = None
    forwarded: Sequence[bytes] = ()

    @property
    def exchange(self) -> ExchangeDialect:
        """What reads the whole request, where its target speaks another format."""
        return self

    @abstractmethod
    def parse(self, body: bytes) -> Any:
        """Raises InvalidField with the field's path."""

    @abstractmethod
    def answer(self, result: Any, asked: Any, setting: Setting) -> Rendered:
        """The answer in the dialect's words."""

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> OpenAIVoice:
        """How the gateway speaks inside a stream."""
        return OpenAIVoice(tap, request)


class FormExchange(OpenAIExchange):
    """The same of one that is asked by a form with files."""

    takes_forms: bool = True

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest or InvalidField."""
        return self.decode_form(read_form(body))

    def parse(self, body: bytes) -> Any:
        """Raises BadRequest or InvalidField."""
        return self.parse_form(read_form(body))

    @abstractmethod
    def decode_form(self, form: Form) -> Request:
        """Raises InvalidField."""

    @abstractmethod
    def parse_form(self, form: Form) -> Any:
        """Raises InvalidField with the field's name."""
