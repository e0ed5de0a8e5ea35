"""The lane of countTokens: Google counts itself, at no charge. Pure.

(https://ai.google.dev/api/tokens#method:-models.counttokens)
"""

import msgspec
from msgspec import Raw

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import Usage, UsageSource
from inference.providers.gemini.lanes import GeminiLane
from inference.wire import Completed, Original

_object = msgspec.json.Decoder(dict[str, Raw])


class CountLane(GeminiLane):
    """Counts of tokens, which cost nothing and are no answer of a model's."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        return self.place(model) + ":countTokens"

    def request(self, asked: Original, model: str) -> bytes:
        """The client's bytes; a limit to an answer means nothing here."""
        return super().request(msgspec.structs.replace(asked, max_output=None), model)

    def completion(self, body: bytes) -> Completed:
        """No usage: nothing was read or said. Raises UpstreamGarbled when it is no JSON object."""
        try:
            _object.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not valid JSON.") from None
        return Completed(usage=Usage(source=UsageSource.REPORTED))
