"""Unbilled: what metering learns from answers that cost nothing and that no model gave. Pure."""

import msgspec
from msgspec import Raw

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import Usage, UsageSource
from inference.wire import Completed

_object = msgspec.json.Decoder(dict[str, Raw])


class Unbilled:
    """A lane's way with such answers, counts of tokens first of all: it comes before the lane among the bases."""

    def completion(self, body: bytes) -> Completed:
        """No usage: nothing was read or said. Raises UpstreamGarbled when it is no JSON object."""
        try:
            _object.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not valid JSON.") from None
        return Completed(usage=Usage(source=UsageSource.REPORTED))
