"""What a batch's lines may ask for: every route of the pipeline that takes JSON and answers JSON."""

from collections.abc import Mapping

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Dialect
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.moderations import Moderations
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_completions import Completions
from gateway.dialects.openai_responses import Responses
from gateway.dialects.rerank import Rerank

ENDPOINTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completions(),
    "/v1/embeddings": Embeddings(),
    "/v1/responses": Responses(),
    "/v1/messages": Messages(),
    "/v1/moderations": Moderations(),
    "/v1/rerank": Rerank(),
}
"""The dialect of each."""
