"""The OpenAI wire format, spoken by OpenAI and by every server that calls itself compatible. Pure.

Where they differ (usage of cached and reasoning tokens, shapes of errors) the differences recorded traffic shows are
read here. (https://platform.openai.com/docs/api-reference)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.providers.openai.chat import OpenAIChat
from inference.providers.openai.chat_traits import ChatTraits
from inference.providers.openai.embeddings import OpenAIEmbeddings
from inference.providers.openai.errors import read_error
from inference.providers.openai.lanes import OpenAILane
from inference.providers.openai.media_lanes import media_lanes
from inference.providers.openai.moderations import OpenAIModerations
from inference.providers.openai.responses_count import responses_lanes
from inference.providers.openai.responses_format import ResponsesFormat
from inference.wire import ChatFormat, Counting, Exchange, Lane, Salt

PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}


class OpenAI:
    """OpenAI's format."""

    lanes: Mapping[str, Lane] = {
        **{route: OpenAILane(path) for route, path in PATHS.items()},
        "moderations": OpenAILane("/moderations"),
        **media_lanes(),
    }
    also: Mapping[str, Mapping[str, Lane]] = {"responses": responses_lanes("")}
    counters: Mapping[str, Counting] = {"responses": ResponsesFormat()}
    chat: ChatFormat | None = OpenAIChat(ChatTraits())
    exchanges: Mapping[Kind, Exchange] = {
        Kind.EMBEDDING: OpenAIEmbeddings(),
        Kind.MODERATION: OpenAIModerations(),
    }
    probe: str = "/models"
    salt: Salt = Salt(
        field="prompt_cache_key", routes=frozenset({"chat", "responses"}), usual_at=("api.openai.com",)
    )
    """OpenAI sends requests of one key to one machine. Others who speak its format may refuse a field they do not know,
    Azure by its older versions too: they are sent it where the catalogue says so."""

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body)


WIRE = OpenAI()
