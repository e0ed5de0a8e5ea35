"""The plainest lane: a client's own bytes but for the model's name, and an answer in one piece. Pure."""

from collections.abc import Callable

from inference.codecs.body import renamed
from inference.ir.errors import InvalidField
from inference.ir.usage import Usage
from inference.wire import Completed, Original, StreamOptions, Tap


class RenamingLane:
    """One route of a format. `path` is below the base URL; `usage_in` reads what an answer took, in any shape."""

    def __init__(self, path: str, usage_in: Callable[[bytes], Usage]) -> None:
        self._path = path
        self._usage_in = usage_in

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return self._path

    def request(self, asked: Original, model: str) -> bytes:
        """The client's own bytes, unless its name for the model is another, or it spoke to the gateway."""
        return renamed(asked.body, asked=asked.model, model=model, hints=asked.hints)

    def completion(self, body: bytes) -> Completed:
        """What the answer took. Raises what reading that raises."""
        return Completed(usage=self._usage_in(body))

    def stream(self, options: StreamOptions | None) -> Tap:
        """Raises InvalidField: such answers come whole."""
        raise InvalidField("Answers of this route are not streamed: leave `stream` out.", param="stream")
