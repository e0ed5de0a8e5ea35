"""Gemini's wire format as Google Cloud's Vertex AI addresses it. Pure.

The base URL holds project and location; an API key goes in a header, a service account's token comes from
`inference/google_tokens.py`. Claude and other publishers' models on Vertex speak formats of their own, which this is
not. (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference)
"""

from inference.ir.cards import Kind
from inference.providers.gemini import Gemini
from inference.providers.gemini.vertex_embeddings import VertexEmbeddings


def address(project: str, location: str) -> str:
    """The base URL of a project in one of Google's locations; `global` has a host without one."""
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}"


class Vertex(Gemini):
    """Vertex's paths. Requests may carry labels, by which Google breaks down its bill."""

    probe = "/publishers/google/models/gemini-2.5-flash"

    def __init__(self) -> None:
        super().__init__(head="/publishers/google", labels=True)
        self.exchanges = {Kind.EMBEDDING: VertexEmbeddings("/publishers/google")}


WIRE = Vertex()
