"""The wire `openai-responses`: servers, or models, that are reached by OpenAI's Responses alone. Pure.

(https://platform.openai.com/docs/api-reference/responses)
"""

from collections.abc import Mapping

from inference.providers.openai import OpenAI
from inference.providers.openai.responses_count import responses_lanes
from inference.providers.openai.responses_format import ResponsesFormat
from inference.wire import ChatFormat, Lane


class OpenAIResponses(OpenAI):
    """Conversations go by way of responses, everything about keys and refusals is OpenAI's."""

    lanes: Mapping[str, Lane] = responses_lanes("")
    chat: ChatFormat | None = ResponsesFormat()


WIRE = OpenAIResponses()
