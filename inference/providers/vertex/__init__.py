"""The wire format of Google Cloud's Vertex AI: Gemini's at its addresses, and Anthropic's for Claude. Pure.

The base URL holds project and location; an API key goes in a header, a service account's token comes from
`inference/google_tokens.py`. Models of further publishers speak formats of their own, which this is not.
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.providers.gemini import Gemini, GeminiChat
from inference.providers.gemini.lanes import GeminiLane
from inference.providers.vertex.claude import CountLane, RawPredictLane, VertexClaude, is_claude
from inference.providers.vertex.embeddings import VertexEmbeddings
from inference.wire import ChatFormat, Lane

_HEAD = "/publishers/google"
_CLAUDE: Mapping[str, Lane] = {"messages": RawPredictLane(), "count_tokens": CountLane()}


def address(project: str, location: str) -> str:
    """The base URL of a project in one of Google's locations; `global` has a host without one."""
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}"


class VertexChat(GeminiChat):
    """Conversations with Gemini, and `of` each model with that."""

    def of(self, model: str, family: str | None = None) -> ChatFormat:
        """The format for one model."""
        return VertexClaude() if is_claude(model, family) else self


class Vertex(Gemini):
    """Vertex's paths. Requests to Gemini may carry labels, by which Google breaks down its bill."""

    probe = "/publishers/google/models/gemini-2.5-flash"

    def __init__(self) -> None:
        super().__init__(head=_HEAD, labels=True)
        self.chat = VertexChat(GeminiLane(_HEAD), labels=True)
        self.exchanges = {Kind.EMBEDDING: VertexEmbeddings(_HEAD)}

    def lanes_for(self, model: str, family: str | None = None) -> Mapping[str, Lane]:
        """Gemini's, or Anthropic's for its models, told by their names or by `family`."""
        return _CLAUDE if is_claude(model, family) else self.lanes


WIRE = Vertex()
