"""Counting tokens in the Responses format: the lane, and a conversation in neutral words as such a question. Pure.

OpenAI counts at no charge. It takes of a request only what a model reads, and refuses the rest.
(https://platform.openai.com/docs/api-reference/responses/input-tokens)
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.codecs.responses.seals import SEAL_MARK
from inference.ir.errors import UpstreamGarbled
from inference.providers.openai.responses_lane import ResponsesLane, without_seals
from inference.unbilled import Unbilled
from inference.wire import Lane, Original, Outgoing

ROUTE = "input_tokens"
"""What the route is called."""
PATH = "/responses/input_tokens"
_READ = frozenset(
    {
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "personality",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)
"""What the call takes; `conversation` and `previous_response_id` name what is kept there, and nothing is."""


class _Count(Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count)


class InputTokensLane(Unbilled, ResponsesLane):
    """Counts, which cost nothing and are no answer of a model's."""

    def request(self, asked: Original, model: str) -> bytes:
        """The client's question about the model there. What only an answer would need is left out."""
        fields = decode_fields(asked.body)
        for name in ("aspendos", "previous_response_id", "store", "stream", "background"):
            fields.pop(name, None)
        fields["model"] = raw(model)
        if SEAL_MARK in asked.body and "input" in fields:
            fields["input"] = without_seals(fields["input"])
        return encode_fields(fields)


def responses_lanes(head: str) -> Mapping[str, Lane]:
    """Responses and their counts; `head` goes before both paths."""
    return {"responses": ResponsesLane(f"{head}/responses"), ROUTE: InputTokensLane(f"{head}{PATH}")}


def count_request(written: Outgoing) -> Outgoing:
    """A request for a response as the question how much of it there is to read."""
    fields = {name: value for name, value in decode_fields(written.body).items() if name in _READ}
    return msgspec.structs.replace(written, path=PATH, body=encode_fields(fields))


def read_count(body: bytes) -> int:
    """The answer. Raises UpstreamGarbled."""
    try:
        return _count.decode(body).input_tokens
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is no count of tokens.") from None
