"""vLLM's wire format: OpenAI's, with usage in every event of a stream.

`stream_options.continuous_usage_stats` tells after each event how many tokens there were so far, so a
stream that is cut is metered exactly. The client sees it only if it asked.
(https://docs.vllm.ai, OpenAI-compatible server)
"""

from collections.abc import Mapping
from typing import ClassVar

from inference.ir.cards import Kind
from inference.providers.cohere.rerank import RerankLane
from inference.providers.openai import PATHS, OpenAI
from inference.providers.openai.embeddings import OpenAIEmbeddings
from inference.providers.openai.lanes import OpenAILane
from inference.wire import Exchange, Lane


class VLLM(OpenAI):
    """OpenAI's format with continuous usage. A worker is named by its root, where its health and load are found too."""

    lanes: Mapping[str, Lane] = {
        **{route: OpenAILane(f"/v1{path}", continuous_usage=True) for route, path in PATHS.items()},
        "rerank": RerankLane("/v1/rerank"),
    }
    exchanges: ClassVar[Mapping[Kind, Exchange]] = {Kind.EMBEDDING: OpenAIEmbeddings("/v1/embeddings")}
    probe: str = "/v1/models"


WIRE = VLLM()
