"""Exchange: one question and its answer, each in one piece, by way of a target that speaks another format.

The counterpart of `gateway/translation.py` for what is no conversation: embeddings, rankings, moderations.
"""

from typing import Any, Protocol, cast

import msgspec

from gateway.dialects.dialect import ExchangeDialect, Rendered, Setting
from gateway.translation import refuse_losses
from inference.codecs.token_estimate import estimate_input
from inference.deployment import Deployment
from inference.ir.cards import Kind, Model
from inference.ir.errors import InvalidField
from inference.ir.usage import Usage, UsageSource
from inference.wire import Completed, Exchange, Outgoing


class Result(Protocol):
    """What the answers of all kinds have in common: they are Structs, and say what they took."""

    @property
    def usage(self) -> Usage: ...


class ExchangeTranslation:
    """Made once a request is known to need it; every attempt writes it down anew, for its own target."""

    __slots__ = ("_asked", "_card", "_characters", "_dialect", "_kind", "_prompt", "_setting", "_strict")

    def __init__(
        self,
        dialect: ExchangeDialect,
        kind: Kind,
        asked: Any,
        setting: Setting,
        *,
        prompt: bytes,
        strict: bool,
        characters: int = 0,
    ) -> None:
        """`asked` is what the dialect's `parse` made of the request. `strict`: nothing may be left out on the way.

        Where the target does not count, `characters` are what it took, or, where there are none, `prompt` is counted.
        """
        self._dialect = dialect
        self._kind = kind
        self._asked = asked
        self._setting = setting
        self._prompt = prompt
        self._characters = characters
        self._strict = strict
        self._card: Model | None = None

    def admitted(self, card: Model, max_output: int | None) -> None:
        """The model that will answer. It writes nothing, so there is no output to limit."""
        self._card = card

    def outgoing(self, deployment: Deployment) -> Outgoing:
        """The request for one target. Raises InvalidField for what that target cannot be told."""
        card = self._card
        assert card is not None
        written = self._exchange(deployment).request(self._asked, model=deployment.model, card=card)
        if self._strict:
            refuse_losses(deployment, written.dropped)
        # It answers in one piece, whatever the client wanted; the dialect may write that as a stream.
        return msgspec.structs.replace(written, stream_types=(b"",))

    def whole(self, deployment: Deployment, body: bytes, content_type: str) -> tuple[Rendered, Completed]:
        """The answer in the client's dialect, and what metering needs of it. Raises UpstreamGarbled."""
        answer = self._exchange(deployment).answer(body, content_type)
        usage = cast(Result, answer).usage
        if usage.source is UsageSource.NONE:
            usage = self._counted(usage)
            answer = msgspec.structs.replace(answer, usage=usage)
        return self._dialect.answer(answer, self._asked, self._setting), Completed(usage=usage)

    def _counted(self, usage: Usage) -> Usage:
        counts = (
            {"characters": self._characters}
            if self._characters
            else {"input_tokens": estimate_input(self._prompt)}
        )
        return msgspec.structs.replace(usage, **counts, source=UsageSource.COUNTED)

    def _exchange(self, deployment: Deployment) -> Exchange:
        found = deployment.wire.exchanges.get(self._kind)
        if found is None:
            raise InvalidField(
                f"The provider `{deployment.provider.name}` serves no models of kind `{self._kind}`.",
                param="model",
                code="route_not_served",
            )
        return found
