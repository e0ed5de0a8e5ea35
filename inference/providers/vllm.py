"""vLLM's wire format: OpenAI's, with usage in every event of a stream.

`stream_options.continuous_usage_stats` tells after each event how many tokens there were so far, so a
stream that is cut is metered exactly. The client sees it only if it asked.
(https://docs.vllm.ai, OpenAI-compatible server)
"""

from collections.abc import Mapping

from inference.ir.cards import Kind
from inference.providers.cohere.rerank import rerank_lane
from inference.providers.openai import PATHS, OpenAI
from inference.providers.openai.chat import OpenAIChat
from inference.providers.openai.chat_traits import ChatTraits
from inference.providers.openai.embeddings import OpenAIEmbeddings
from inference.providers.openai.lanes import OpenAILane
from inference.providers.openai.media_lanes import media_lanes
from inference.providers.openai.responses_lane import ResponsesLane
from inference.wire import ChatFormat, Counting, Exchange, Lane, Salt


class VLLM(OpenAI):
    """OpenAI's format with continuous usage. A worker is named by its root, where its health and load are found too."""

    lanes: Mapping[str, Lane] = {
        **{route: OpenAILane(f"/v1{path}", continuous_usage=True) for route, path in PATHS.items()},
        "rerank": rerank_lane("/v1/rerank"),
        **media_lanes("/v1"),
    }
    chat: ChatFormat | None = OpenAIChat(
        ChatTraits(
            path="/v1/chat/completions",
            thoughts="reasoning_content",
            top_k=True,
            by_address=True,
            unthinking={"chat_template_kwargs": {"enable_thinking": False}},
        )
    )
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: OpenAIEmbeddings("/v1/embeddings")}
    also: Mapping[str, Mapping[str, Lane]] = {"responses": {"responses": ResponsesLane("/v1/responses")}}
    counters: Mapping[str, Counting] = {}
    probe: str = "/v1/models"
    own_server: bool = True
    salt: Salt = Salt(field="cache_salt", routes=frozenset({"chat", "completions", "responses"}), usual=True)


WIRE = VLLM()
