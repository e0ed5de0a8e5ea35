"""Translation: one conversation on its way through a target that speaks another format than its client."""

from collections.abc import Callable, Sequence

import msgspec

from gateway.dialects.dialect import ChatDialect, Rendered, Setting, Writer
from gateway.dialects.field_names import as_asked
from gateway.dialects.places import respelled, retold
from gateway.media.inliner import Fetches, Shown, addresses, check_pictures, inlined
from gateway.unread import refuse_unread
from inference.codecs.token_estimate import estimate_text
from inference.deployment import Deployment
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Reasoning, Refusal, Text, ToolCall
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.events import (
    CallDelta,
    Counted,
    Ended,
    Event,
    Failed,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from inference.ir.place import Place
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.wire import ChatFormat, Completed, Outgoing, Parser

_SAID = (TextDelta, ReasoningDelta, RefusalDelta)
_SAYING = (Text, Reasoning, Refusal)

_ENVELOPE = frozenset(
    {
        "id",
        "object",
        "type",
        "created",
        "created_at",
        "completed_at",
        "model",
        "system_fingerprint",
        "service_tier",
    }
)
"""What a provider says of its answer beside what is in it. The client's dialect has words of its own for it, or none
that anybody asked for; only of a tier of service does one ask."""


class Translation:
    """Made once a request is known to need it; every attempt writes it down anew, for its own target."""

    __slots__ = ("_asked", "_body", "_card", "_dialect", "_setting", "_shows", "_strict")

    def __init__(self, dialect: ChatDialect, body: bytes, setting: Setting, *, strict: bool) -> None:
        """Reads the whole request. Raises InvalidField. `strict`: nothing may be left out on the way."""
        self._dialect = dialect
        self._body = body
        self._asked: ChatRequest = dialect.parse(body)
        try:
            self._shows = check_pictures(self._asked)
        except InvalidField as error:
            raise retold(error, self._places()) from None
        self._setting = setting
        self._strict = strict
        self._card: Model | None = None

    @property
    def asked(self) -> ChatRequest:
        """The request in neutral words."""
        return self._asked

    def admitted(self, card: Model, max_output: int | None) -> None:
        """What admission made of it: the model that will answer, and a limit where it set one."""
        self._card = card
        if max_output is not None:
            self._asked = msgspec.structs.replace(self._asked, max_output=max_output)

    async def fetch(self, attempts: Sequence[Deployment], fetcher: Fetches) -> None:
        """Bytes in place of addresses, where a target takes only those. Raises InvalidField."""
        if not self._shows:
            return
        takers = [deployment.taker for deployment in attempts if deployment.taker is not None]
        if not takers:
            return

        def wants(part: Shown) -> bool:
            return any(taker.takes_bytes(part) for taker in takers)

        if addresses(self._asked, wants):
            try:
                self._asked = await inlined(self._asked, wants, fetcher)
            except InvalidField as error:
                raise retold(error, self._places()) from None

    def outgoing(self, deployment: Deployment) -> Outgoing:
        """The request for one target. Raises InvalidField for what that target cannot be told."""
        card = self._card
        assert card is not None
        try:
            written = self.written(deployment, card)
            if written.dropped:
                refuse_unread(deployment.provider.name, written.dropped, self._asked.messages)
        except InvalidField as error:
            raise retold(error, self._places()) from None
        if written.dropped:
            dropped = respelled(as_asked(written.dropped, self._asked), self._places())
            written = msgspec.structs.replace(written, dropped=dropped)
        if self._strict:
            refuse_losses(deployment, written.dropped)
        return written

    def written(self, deployment: Deployment, card: Model) -> Outgoing:
        """The request as the target's format has it, its losses named by neutral places."""
        return _format(deployment).request(self._asked, model=deployment.model, card=card)

    def _places(self) -> Sequence[Place]:
        """Where in the client's own words each message stands."""
        return self._dialect.places(self._body, self._asked.messages)

    def whole(self, deployment: Deployment, body: bytes) -> tuple[Rendered, Completed]:
        """The answer in the client's dialect, and what metering needs of it. Raises UpstreamGarbled."""
        completion = _format(deployment).completion(body)
        usage = completion.usage
        counted = usage.source is not UsageSource.NONE
        measured = Completed(
            usage=usage,
            finish_reason=_finish(completion),
            text=0 if counted else _text_size(completion),
        )
        return _missed(self._dialect.answer(completion, self._asked, self._setting), self._asked), measured

    def tap(self, deployment: Deployment) -> "TranslatingTap":
        """Follows and translates one stream."""
        writer = self._dialect.writer(self._asked, self._setting)
        return TranslatingTap(_format(deployment).stream(), writer, deployment.anonymous)


class TranslatingTap:
    """A stream of one format in, of another out. It is a Tap and, for what the gateway itself says, a Voice."""

    __slots__ = (
        "_anonymous",
        "_parser",
        "_text",
        "_usage",
        "_writer",
        "done",
        "events",
        "finish_reason",
        "sample",
        "size",
        "upstream_error",
    )

    def __init__(
        self, parser: Parser, writer: Writer, anonymous: Callable[[AspendosError], object] = id
    ) -> None:
        """`anonymous` takes out of an error what is not the client's business."""
        self._parser = parser
        self._anonymous = anonymous
        self._writer = writer
        self._usage = NO_USAGE
        self._text = 0
        self.done = False
        self.size = 0
        self.events = 0
        self.sample = b""
        self.finish_reason: str | None = None
        self.upstream_error = b""

    # Tap

    def feed(self, chunk: bytes) -> bytes:
        """Raises UpstreamGarbled."""
        if self.done:
            return b""
        self.size += len(chunk)
        out = self._said(self._parser.feed(chunk))
        self.done = self._parser.complete
        return out

    def finish(self) -> bytes:
        """What is left, and the end of the answer. Raises UpstreamGarbled where the stream was not complete."""
        out = b"" if self.done else self._said(self._parser.finish())
        self.done = True
        return out + self._writer.finish() if not self.upstream_error else out + self._writer.end

    def drop_tail(self) -> None:
        """A half-received event is never passed on, so there is nothing to forget."""

    def usage(self) -> Usage:
        """The last usage the stream reported; where that is of the prompt alone, with the answer estimated."""
        usage = self._usage
        if usage.source is not UsageSource.COUNTED:
            return usage
        return msgspec.structs.replace(usage, output_tokens=max(usage.output_tokens, self.estimate() or 0))

    def estimate(self) -> int | None:
        """Tokens delivered so far, by their text."""
        return estimate_text(self._text) if self.events else None

    @property
    def dropped(self) -> Sequence[str]:
        """What could not be said in the client's dialect."""
        return self._writer.dropped

    # Voice

    @property
    def end(self) -> bytes:
        """What follows a broken or cut stream."""
        return self._writer.end

    def broken(self, error: AspendosError) -> bytes:
        """The error in the client's dialect."""
        return self._writer.broken(error)

    def cut(self, usage: Usage) -> bytes:
        """The end of an answer the gateway stops."""
        return self._writer.cut(usage)

    def _said(self, events: Sequence[Event]) -> bytes:
        self.events += len(events)
        for event in events:
            if isinstance(event, _SAID):
                self._text += len(event.text)
            elif isinstance(event, CallDelta):
                self._text += len(event.arguments)
            else:
                self._note(event)
        return self._writer.write(events)

    def _note(self, event: Event) -> None:
        match event:
            case Counted(usage):
                self._usage = usage
            case Ended():
                self.finish_reason = self.finish_reason or str(event.finish)
            case Failed(error):
                self._anonymous(error)
                self.upstream_error = error.code.encode()
            case _:
                pass


def _finish(completion: Completion) -> str | None:
    """Why the first choice that ended did."""
    for choice in completion.choices:
        if choice.finish is not None:
            return str(choice.finish)
    return None


def _missed(rendered: Rendered, asked: ChatRequest) -> Rendered:
    """The answer, of whose losses only those are named that somebody may miss."""
    if not rendered.dropped:
        return rendered
    envelope = _ENVELOPE if asked.service_tier is None else _ENVELOPE - {"service_tier"}
    if envelope.isdisjoint(rendered.dropped):
        return rendered
    names = tuple(name for name in rendered.dropped if name not in envelope)
    return msgspec.structs.replace(rendered, dropped=names)


def refuse_losses(deployment: Deployment, dropped: Sequence[str]) -> None:
    """For a client that wants all or nothing. Raises InvalidField where something had to be left out."""
    if dropped:
        raise InvalidField(
            f"The provider `{deployment.provider.name}` cannot be told everything this request says "
            f"({', '.join(dropped)}), and `x-aspendos-strict` allows nothing to be left out. "
            "Leave those out, or ask without it.",
            param=dropped[0],
            code="not_translatable",
        )


def _format(deployment: Deployment) -> ChatFormat:
    found = deployment.chat
    if found is None:
        raise InvalidField(
            f"The provider `{deployment.provider.name}` holds no conversations.",
            param="model",
            code="route_not_served",
        )
    return found


def _text_size(completion: Completion) -> int:
    """Bytes of everything a completion says."""
    size = 0
    for choice in completion.choices:
        for part in choice.parts:
            if isinstance(part, _SAYING):
                size += len(part.text.encode())
            elif isinstance(part, ToolCall):
                size += len(part.arguments.encode())
    return size
