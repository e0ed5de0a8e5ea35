"""The Anthropic wire format: Messages. Pure.

(https://docs.anthropic.com/en/api/messages)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.providers.anthropic.chat_format import COUNT_PATH, AnthropicChat
from inference.providers.anthropic.chat_request import PATH
from inference.providers.anthropic.errors import read_error
from inference.providers.anthropic.lanes import CountLane, MessagesLane
from inference.wire import ChatFormat, Exchange, Lane

VERSION = "2023-06-01"
"""The version of the API asked for, where the client names none."""

_MESSAGES, _COUNT = MessagesLane(PATH), CountLane(COUNT_PATH)
"""Of what is shown by its address the client fetches nothing: Anthropic does. Not every server of Claude."""


class Anthropic:
    """Anthropic's format."""

    lanes: Mapping[str, Lane] = {
        "messages": _MESSAGES,
        "messages_by_address": _MESSAGES,
        "count_tokens": _COUNT,
        "count_tokens_by_address": _COUNT,
    }
    chat: ChatFormat | None = AnthropicChat()
    exchanges: Mapping[Kind, Exchange] = {}
    probe: str = "/v1/models"
    headers: tuple[tuple[str, str], ...] = (("anthropic-version", VERSION),)

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "x-api-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body)


WIRE = Anthropic()
