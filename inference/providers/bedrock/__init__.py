"""Amazon Bedrock's wire format: Converse, and InvokeModel for embeddings and for Claude's own clients. Pure.

The base URL is that of a region, https://bedrock-runtime.eu-west-1.amazonaws.com. A Bedrock API key goes in a header;
requests by an access key of AWS are signed (`inference/request_keys.py`). The other makers' own formats behind
InvokeModel are not spoken for conversations: Converse serves the same models.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.providers.bedrock.chat import BedrockChat, made_by
from inference.providers.bedrock.embeddings import BedrockEmbeddings
from inference.providers.bedrock.errors import read_error
from inference.providers.bedrock.invoke_lanes import CountTokensLane, InvokeLane
from inference.providers.bedrock.naming import Maker, counted_as
from inference.wire import ChatFormat, Exchange, Lane

_UNCOUNTED: Mapping[str, Lane] = {"messages": InvokeLane()}
_COUNTED: Mapping[str, Lane] = {**_UNCOUNTED, "count_tokens": CountTokensLane()}


class Bedrock:
    """Only for models of Anthropic's does a dialect go through unchanged."""

    lanes: Mapping[str, Lane] = {}
    chat: ChatFormat | None = BedrockChat()
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: BedrockEmbeddings()}
    probe: str = "/async-invoke?maxResults=1"

    def lanes_for(self, model: str, family: str | None = None) -> Mapping[str, Lane]:
        """Of Anthropic's models, by name or by `family`, Messages, and their count where Bedrock counts."""
        if made_by(model, family) is not Maker.CLAUDE:
            return self.lanes
        return _COUNTED if counted_as(model) is not None else _UNCOUNTED

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a Bedrock API key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body)


WIRE = Bedrock()
