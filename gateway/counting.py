"""Counting: how many tokens a request would be read as, asked of a target that speaks another format than its client.

Nothing is read or said by a model, so nothing is charged.
"""

from gateway.dialects.dialect import Counting, Rendered, Setting
from gateway.translation import Translation
from inference.codecs.causes import Cause
from inference.deployment import Deployment
from inference.ir.cards import Model
from inference.ir.errors import AspendosError, UpstreamError
from inference.ir.usage import Usage, UsageSource
from inference.wire import Completed, Outgoing

_NO_SUCH_CALL = (404, 405, 501)


class CountTranslation(Translation):
    """One question; every attempt writes it down anew, for its own target, which has to have a counter."""

    __slots__ = ("_counting", "_question")

    def __init__(self, dialect: Counting, body: bytes, setting: Setting, *, strict: bool) -> None:
        """Reads the whole request. Raises InvalidField."""
        self._counting = dialect
        self._question = body
        super().__init__(dialect.counts, dialect.whole(body), setting, strict=strict)

    @property
    def estimated(self) -> bytes:
        """The gateway's own answer, in the client's words."""
        return self._counting.estimated(self._question)

    def written(self, deployment: Deployment, card: Model) -> Outgoing:
        """The question as the target's format has it."""
        assert deployment.counter is not None
        return deployment.counter.count(self.asked, model=deployment.model, card=card)

    def whole(self, deployment: Deployment, body: bytes) -> tuple[Rendered, Completed]:
        """The count in the client's words. Raises UpstreamGarbled."""
        assert deployment.counter is not None
        told = self._counting.told(deployment.counter.counted(body))
        return Rendered(told), Completed(usage=Usage(source=UsageSource.REPORTED))


def unaskable(error: AspendosError) -> bool:
    """Whether a target has refused because it has no such call, though others of its kind have.

    That it has no such model is another matter, and the operator's.
    """
    return isinstance(error, UpstreamError) and error.answered in _NO_SUCH_CALL and error.code != Cause.MODEL
