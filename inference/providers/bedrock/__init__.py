"""Amazon Bedrock's wire format: Converse, and InvokeModel for embeddings. Pure.

The base URL is that of a region, https://bedrock-runtime.eu-west-1.amazonaws.com. A Bedrock API key goes in a header;
requests by an access key of AWS are signed (`inference/request_keys.py`). The makers' own formats behind InvokeModel
are not spoken for conversations: Converse serves the same models.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.ir.errors import AspendosError
from inference.providers.bedrock.converse import Converse
from inference.providers.bedrock.embeddings import BedrockEmbeddings
from inference.providers.bedrock.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane


class Bedrock:
    """Nobody's dialect goes through unchanged, so it has no lane."""

    lanes: Mapping[str, Lane] = {}
    chat: ChatFormat | None = Converse()
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: BedrockEmbeddings()}
    probe: str = "/async-invoke?maxResults=1"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a Bedrock API key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body)


WIRE = Bedrock()
