"""Azure's addressing of OpenAI's format: a deployment in the path, a version in the query, the key in a header. Pure.

A target's `model` is the name of the deployment. Azure's newer address, `<resource>/openai/v1`, is OpenAI's own
format and needs none of this: write `wire: openai` for it.
(https://learn.microsoft.com/azure/ai-services/openai/reference)
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from inference.ir.cards import Kind, Model
from inference.ir.chat import ChatRequest
from inference.ir.embedding import EmbeddingRequest
from inference.providers.openai import PATHS, OpenAI
from inference.providers.openai.chat import OpenAIChat
from inference.providers.openai.chat_traits import ChatTraits
from inference.providers.openai.embeddings import OpenAIEmbeddings
from inference.providers.openai.lanes import OpenAILane
from inference.providers.openai.media_lanes import FormLane, MediaLane
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

API_VERSION = "2024-10-21"
"""The latest version of the data plane that is not a preview."""


def _path(model: str, path: str) -> str:
    return f"/openai/deployments/{quote(model, safe='')}{path}?api-version={API_VERSION}"


class AzureLane(OpenAILane):
    """A lane whose path names the deployment."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._below = path

    def path(self, model: str, *, stream: bool) -> str:
        """Below the resource's address."""
        return _path(model, self._below)


class AzureMediaLane(MediaLane):
    """A lane of pictures whose path names the deployment."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the resource's address."""
        return _path(model, super().path(model, stream=stream))


class AzureFormLane(FormLane):
    """A lane of recordings whose path names the deployment."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the resource's address."""
        return _path(model, super().path(model, stream=stream))


class AzureChat(OpenAIChat):
    """Conversations whose path names the deployment."""

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what the format cannot say at all."""
        out = super().request(asked, model=model, card=card)
        return msgspec.structs.replace(out, path=_path(model, out.path))


class AzureEmbeddings(OpenAIEmbeddings):
    """Embeddings whose path names the deployment."""

    def request(self, asked: EmbeddingRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for pictures."""
        out = super().request(asked, model=model, card=card)
        return msgspec.structs.replace(out, path=_path(model, out.path))


class AzureOpenAI(OpenAI):
    """OpenAI's format under Azure's addresses. A base URL is the resource's: `https://<resource>.openai.azure.com`."""

    lanes: Mapping[str, Lane] = {
        **{route: AzureLane(path) for route, path in PATHS.items()},
        "images": AzureMediaLane("/images/generations"),
        "transcriptions": AzureFormLane("/audio/transcriptions"),
        "translations": AzureFormLane("/audio/translations"),
    }
    chat: ChatFormat | None = AzureChat(ChatTraits())
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: AzureEmbeddings()}
    probe: str = f"/openai/models?api-version={API_VERSION}"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "api-key", key


WIRE = AzureOpenAI()
