"""The lane of countTokens: Google counts itself, at no charge. Pure.

(https://ai.google.dev/api/tokens#method:-models.counttokens)
"""

import msgspec

from inference.providers.gemini.lanes import GeminiLane
from inference.unbilled import Unbilled
from inference.wire import Original


class CountLane(Unbilled, GeminiLane):
    """Counts of tokens, which cost nothing and are no answer of a model's."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        return self.place(model) + ":countTokens"

    def request(self, asked: Original, model: str) -> bytes:
        """The client's bytes; a limit to an answer means nothing here."""
        return super().request(msgspec.structs.replace(asked, max_output=None), model)
