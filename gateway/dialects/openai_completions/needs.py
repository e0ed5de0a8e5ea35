"""What a legacy completion asks of a model. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.openai_chat.needs import format_needs
from inference.ir.need import Need


class _Asked(Struct):
    logprobs: Raw = Raw()
    response_format: Raw = Raw()


_asked = msgspec.json.Decoder(_Asked)


def needs(body: bytes) -> Iterator[Need]:
    """Of a request whose JSON has been read before. `logprobs: 0` asks for those of the tokens chosen."""
    asked = _asked.decode(body)
    if asked.logprobs and bytes(asked.logprobs) not in (b"null", b"false"):
        yield Need(capability="logprobs", param="logprobs")
    if format_needs(asked.response_format):
        yield Need(capability="json_schema", param="response_format")
