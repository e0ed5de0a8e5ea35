"""vLLM's wire format: OpenAI's, with usage in every event of a stream.

`stream_options.continuous_usage_stats` tells after each event how many tokens there were so far, so a
stream that is cut is metered exactly. The client sees it only if it asked.
(https://docs.vllm.ai, OpenAI-compatible server)
"""

from collections.abc import Mapping
from typing import ClassVar

from inference.providers.openai import OpenAI


class VLLM(OpenAI):
    """OpenAI's format with continuous usage."""

    path: ClassVar[Mapping[str, str]] = {route: f"/v1{path}" for route, path in OpenAI.path.items()}
    """A worker is named by its root, where its health and load are found too."""
    probe: ClassVar[str] = "/v1/models"
    continuous_usage = True


WIRE = VLLM()
