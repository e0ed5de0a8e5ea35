"""Dialect: what a surface that clients speak is made of. Protocols and the words they share; pure.

A dialect reads a request twice, the second time only if it must: `decode` looks at what every request needs (model,
stream, limits), `chat.parse` reads the whole conversation where the target speaks another format.
"""

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

from msgspec import Struct

from inference.codecs.form import Form
from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError
from inference.ir.events import Event
from inference.ir.need import Need
from inference.ir.place import Place
from inference.ir.usage import NO_USAGE, Usage
from inference.wire import JSON, StreamOptions, Tap


class Thread(Struct, frozen=True, kw_only=True):
    """What a request says of conversations that the gateway keeps: the answer it goes on from, and whether to keep
    its own. `counted`: it has none, for it only asks how much there is to read."""

    previous: str | None = None
    keep: bool = True
    counted: bool = False


class Request(Struct, frozen=True, kw_only=True):
    """What a client asks for. `prompt` is raw JSON, kept for counting when nobody else counted.

    `max_output` is the client's limit for one answer in tokens, `answers` how many it wants. `tags` are its own
    words for whoever reads the bill (`{"project": "atlas"}`). For what is not sold by the token: `images` are
    pictures asked for (`pictures` those shown), `characters` of text to speak or translate, `audio_bytes` the size of
    a recording sent along, `documents` to be ranked. `thread` is None where a dialect keeps nothing.

    `lane` is what a target must have to be asked in the client's own words, where that is more than its route.
    `counted` is what the request takes as far as the gateway can tell itself: believed where the target says nothing.
    `piped`: the answer is bytes of some kind (sound), passed on as they come. `shows`: there may be pictures, sound or
    files in it, by their bytes or their addresses, which are looked at before it goes out.
    """

    model: str
    stream: bool
    options: StreamOptions | None
    hints: bool
    prompt: bytes
    max_output: int | None = None
    answers: int = 1
    pictures: int = 0
    audio: bool = False
    tools: bool = False
    images: int = 0
    characters: int = 0
    audio_bytes: int = 0
    documents: int = 0
    tags: dict[str, str] | None = None
    thread: Thread | None = None
    lane: str = ""
    counted: Usage = NO_USAGE
    piped: bool = False
    shows: bool = False


class Setting(Struct, frozen=True, kw_only=True):
    """What an answer says of itself: the id of the call, the name the client asked for, when (unix seconds)."""

    id: str
    model: str
    created: int
    include_usage: bool = False


class Voice(Protocol):
    """How the gateway itself speaks inside a client's stream."""

    @property
    def end(self) -> bytes:
        """What follows the last event of a stream that was broken or cut; may be empty."""
        ...

    def broken(self, error: AspendosError) -> bytes:
        """The error, after which nothing but `end` comes."""
        ...

    def cut(self, usage: Usage) -> bytes:
        """The end of an answer that the gateway stops at its own maximum: as if the model's had been reached."""
        ...


class Writer(Voice, Protocol):
    """Writes one answer as a stream. `dropped` names what could not be said so far."""

    dropped: Sequence[str]

    def write(self, events: Sequence[Event]) -> bytes:
        """What the client may have now. What tells it that the answer is complete is kept for `finish`."""
        ...

    def finish(self) -> bytes:
        """The end of the answer, usage included where the client is to have it."""
        ...


class Rendered(Struct, frozen=True):
    """A whole answer, and the names of what could not be said in it."""

    body: bytes
    dropped: tuple[str, ...] = ()
    content_type: str = JSON


class ChatDialect(Protocol):
    """A conversation in full: the client's words into neutral ones, and answers back."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises InvalidField with the field's path, in the client's words."""
        ...

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in a request, read as these messages, each of them stands. Asked only when there is something to say
        of one."""
        ...

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered: ...
    def writer(self, asked: ChatRequest, setting: Setting) -> Writer: ...


class ExchangeDialect(Protocol):
    """What is asked and answered in one piece: the client's words into neutral ones, and the answer back.

    What comes out of `parse` and goes into `answer` are the words for one kind of model
    (`inference/ir/embedding.py` and so on).
    """

    def parse(self, body: bytes) -> Any:
        """Raises InvalidField with the field's path, in the client's words."""
        ...

    def answer(self, result: Any, asked: Any, setting: Setting) -> Rendered: ...


@runtime_checkable
class Counting(Protocol):
    """A dialect that asks how many tokens a request would be read as.

    A target that speaks it is asked in the client's own words, another through `counts`, by which the whole of such a
    request is read. Where nobody can be asked, the gateway estimates.
    """

    counts: ChatDialect

    def whole(self, body: bytes) -> bytes:
        """The request that is to be counted, as `counts` reads it."""
        ...

    def told(self, tokens: int) -> bytes:
        """The answer, as JSON."""
        ...

    def estimated(self, body: bytes) -> bytes:
        """The gateway's own answer, as JSON."""
        ...


@runtime_checkable
class Needing(Protocol):
    """A dialect whose requests may ask of a model what not every one can."""

    def needs(self, body: bytes) -> Sequence[Need]:
        """What a request that was decoded before asks for, each capability once."""
        ...


def needing(dialect: object) -> Needing | None:
    """It as a Needing, if it is one, asked in the way that costs least."""
    return cast("Needing", dialect) if hasattr(dialect, "needs") else None


@runtime_checkable
class Limited(Protocol):
    """A dialect whose requests cannot do without a limit to the answer.

    `limit` is the field; `unlimited` reads a request as if it had none, for a model that is never to see one.
    """

    limit: str
    unlimited: ChatDialect


def limited(dialect: object) -> Limited | None:
    """It as a Limited, if it is one, asked in the way that costs least."""
    return cast("Limited", dialect) if hasattr(dialect, "unlimited") else None


class FormReader(ExchangeDialect, Protocol):
    """A dialect whose requests are forms with files (multipart/form-data) instead of JSON: `decode` and `parse` do the
    same for one that lies in memory."""

    takes_forms: bool

    def decode_form(self, form: Form) -> Request:
        """Raises InvalidField."""
        ...

    def parse_form(self, form: Form) -> Any:
        """Raises InvalidField with the field's name."""
        ...


def takes_forms(dialect: object) -> bool:
    """Whether it is a FormReader, asked in the way that costs least."""
    return getattr(dialect, "takes_forms", False)


class Dialect(Protocol):
    """A surface: its route's name, the kind of model it asks for, how it is read and answered.

    `chat` is None where it is not about conversations, `exchange` where it is. `forwarded` are the client's
    headers that go on to a provider that speaks this dialect itself.
    """

    @property
    def route(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def chat(self) -> ChatDialect | None: ...
    @property
    def exchange(self) -> ExchangeDialect | None: ...
    @property
    def forwarded(self) -> Sequence[bytes]: ...

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        ...

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes: ...
    def voice(self, tap: Tap, request: Request) -> Voice: ...


def form_reader(dialect: Dialect) -> FormReader:
    """A dialect that takes forms, as what reads them."""
    assert takes_forms(dialect)
    return cast("FormReader", dialect)
