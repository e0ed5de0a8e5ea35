"""Wire: what a wire format is, as `inference/providers/<wire>.py` gives it under the name WIRE. Protocols only.

A wire format serves a request in one of two ways. Where the client speaks the very format, its bytes go through a
Lane: patched one level deep, relayed as they come. Where it does not, the request comes as neutral words
(`inference/ir`) and goes through a Format, which writes it down and reads the answer. Both are pure: bytes and words
in, bytes and words out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from inference.codecs.form import Form
from inference.ir.bulk import Flowing
from inference.ir.cards import Kind, Model
from inference.ir.chat import ChatRequest, Structured
from inference.ir.completion import Completion
from inference.ir.content import Audio, File, Image, Video
from inference.ir.errors import AspendosError
from inference.ir.events import Event
from inference.ir.usage import Usage

JSON = "application/json"


class StreamOptions(Struct, frozen=True):
    """What an OpenAI client asked of a stream; anything else it wrote there is forwarded."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class Original(Struct, frozen=True, kw_only=True):
    """A request in its client's own bytes, and what a lane has to change in them.

    `model` is the name the client used, `hints`: it spoke to the gateway under `aspendos`. `max_output` is a limit to
    each answer in tokens that the gateway sets; None: the client's own words stand.
    """

    body: bytes
    model: str
    stream: bool
    hints: bool = False
    max_output: int | None = None


class Completed(Struct, frozen=True, kw_only=True):
    """What metering needs of a whole response. `text` is how many bytes it says, read only without usage.

    `body` is what the client is to have where the provider puts the same thing into other words; None: its own bytes.
    """

    usage: Usage
    finish_reason: str | None = None
    text: int = 0
    body: bytes | None = None


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request as it goes to a provider. `path` is below the base URL and may carry a query.

    `dropped` names the client's fields that could not be carried; what stands in a message by its place among the
    neutral ones (`messages[0].content[1].citations`), for whoever knows the client's words to respell.
    `structured` says by what an answer of a given form is asked for; None: none is.
    `bulk` is the body where it is too large to be held; `body` is empty then.
    `stream_types` are what the content type of a stream may begin with. `piped`: the answer's body is itself what the
    client asked for. `steps`: the answer to this is only where the real one will be found.
    """

    path: str
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    structured: Structured | None = None
    method: str = "POST"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    piped: bool = False
    steps: "Steps | None" = None
    bulk: Flowing | None = None


class Step(Struct, frozen=True, kw_only=True):
    """What to ask a provider next on the way to an answer; `done`: what comes then is the answer."""

    ask: Outgoing
    done: bool


class Steps(Protocol):
    """The way to an answer that is not given to its request, but kept by the provider until it is fetched."""

    def after(self, body: bytes) -> Step:
        """What to ask next, given what was answered last. Raises UpstreamGarbled."""
        ...

    def abandon(self) -> Outgoing | None:
        """What tells the provider that nobody waits any longer; None while it has taken nothing."""
        ...


class Tap(Protocol):
    """Follows one stream on its way through: what the client may have, and what metering needs.

    `size` and `events` are what has gone by; `sample` is one event with text, from which an envelope is estimated.
    `done`: the end has come, and is held back until `finish()`. `upstream_error` is not empty once the provider
    reported an error inside its stream.
    """

    done: bool
    sample: bytes
    finish_reason: str | None
    upstream_error: bytes

    @property
    def size(self) -> int: ...

    @property
    def events(self) -> int: ...

    def feed(self, chunk: bytes) -> bytes:
        """Take what one read brought; give back what the client may have now, possibly nothing."""
        ...

    def finish(self) -> bytes:
        """The rest, once the upstream has ended or `done` is set: the end that was held back."""
        ...

    def drop_tail(self) -> None:
        """Forget a half-received event: the stream broke in it, or is cut."""
        ...

    def usage(self) -> Usage:
        """The last usage the stream reported; NO_USAGE if it reported none."""
        ...

    def estimate(self) -> int | None:
        """Tokens delivered so far, from what went by; None where nothing did."""
        ...


class Lane(Protocol):
    """How a client's own bytes are passed on."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        ...

    def request(self, asked: Original, model: str) -> bytes:
        """The body to send to a model by its name at the provider."""
        ...

    def completion(self, body: bytes) -> Completed:
        """Usage and finish reason of a whole response. Raises UpstreamGarbled when it is no JSON object."""
        ...

    def stream(self, options: StreamOptions | None) -> Tap: ...


@runtime_checkable
class FormTaking(Protocol):
    """A lane whose requests are forms with files."""

    def filled(self, form: Form, asked: Original, model: str) -> bytes | Flowing:
        """The form to send: the client's own, under the provider's name for the model. `asked` has no body."""
        ...


@runtime_checkable
class Framed(Protocol):
    """A lane whose provider frames its streams otherwise than as server-sent events."""

    stream_types: tuple[bytes, ...]
    """What the content type of a stream may begin with."""


@runtime_checkable
class HeaderReading(Protocol):
    """A lane, or a chat format, that has its own way with the headers a client of its family sends."""

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """A request and the client's header lines as they are to go out: what the provider wants in its body is put
        there. `body` is the client's for a lane, for a chat format the one that was written."""
        ...


class Salt(Struct, frozen=True, kw_only=True):
    """A field by which a server keeps apart what the prompts of different tenants leave in its cache.

    `routes` are those that take it; `usual`: it is sent unless the catalogue says that prompts may meet. `usual_at`
    are hosts, with all below them, where that is so though it is not elsewhere.
    """

    field: str
    routes: frozenset[str]
    usual: bool = False
    usual_at: tuple[str, ...] = ()

    def usual_for(self, host: str) -> bool:
        """Whether it is sent to a host without the catalogue's word."""
        return self.usual or any(host == each or host.endswith(f".{each}") for each in self.usual_at)


@runtime_checkable
class Salting(Protocol):
    """A wire format that has such a field."""

    salt: Salt


@runtime_checkable
class SaltingLane(Protocol):
    """A lane that puts a tenant's salt in while it patches the body anyway."""

    def salted(self, asked: Original, model: str, salt: tuple[str, str]) -> bytes:
        """`request` of a lane, with a field and its value unless the client gave that field one."""
        ...


@runtime_checkable
class Caching(Protocol):
    """A lane to a provider that wants to be told up to where it is to cache a prompt."""

    def cached(self, body: bytes) -> bytes:
        """The body with marks for that, unless the client placed its own."""
        ...


class Parser(Protocol):
    """Reads one stream, however it is cut. `complete`: the format's own end has come."""

    complete: bool

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """What is known with this chunk. Raises UpstreamGarbled for what can be no stream of this format."""
        ...

    def finish(self) -> Sequence[Event]:
        """What is left at the upstream's end. Raises UpstreamGarbled where the stream was not complete."""
        ...


class ChatFormat(Protocol):
    """How a conversation is written down for a provider, and its answers read."""

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """`model` is the name at the provider; `card` says what the model can.

        Raises InvalidField for what this format cannot say at all and must not leave out.
        """
        ...

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled for what is no answer, an AspendosError for a failure reported with status 200."""
        ...

    def stream(self) -> Parser: ...


@runtime_checkable
class ByModel(Protocol):
    """A chat format that is not the same for every model: at some providers models of several makers are had."""

    def of(self, model: str, family: str | None = None) -> ChatFormat:
        """The format for one model, by its name at the provider and, where that does not tell, by what the catalogue
        says of its family."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A chat format whose provider counts, at no charge, how many tokens a conversation is read as."""

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The question. Raises InvalidField as `request` does."""
        ...

    def counted(self, body: bytes) -> int:
        """The answer. Raises UpstreamGarbled."""
        ...


@runtime_checkable
class TakesBytes(Protocol):
    """A chat format whose provider does not follow every address itself."""

    def takes_bytes(self, part: Image | Audio | Video | File) -> bool:
        """Whether a part given by its address has to be fetched for it."""
        ...


@runtime_checkable
class ShapesByTool(Protocol):
    """A chat format that has an answer of a given schema by way of a tool, from models that know no schemas."""

    shapes_by_tool: bool


class Exchange(Protocol):
    """The same for what is asked and answered in one piece: embeddings, rankings, speech, pictures.

    What goes in and comes out are the words for one kind of model (`inference/ir/embedding.py` and so on).
    """

    def request(self, asked: Any, *, model: str, card: Model) -> Outgoing: ...
    def answer(self, body: bytes, content_type: str) -> Any: ...


class Wire(Protocol):
    """A wire format. `probe` is the path to GET to learn whether a key is good.

    `lanes` are keyed by the routes whose dialect it speaks itself (`chat`, `completions`, `messages`, ...);
    `chat` is None where it serves no conversations; `exchanges` are keyed by the kind of model.
    """

    @property
    def probe(self) -> str: ...
    @property
    def lanes(self) -> Mapping[str, Lane]: ...
    @property
    def chat(self) -> ChatFormat | None: ...
    @property
    def exchanges(self) -> Mapping[Kind, Exchange]: ...

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        ...

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A provider's refusal as one of ours, its own message kept; read by status, never by words."""
        ...


@runtime_checkable
class Extended(Protocol):
    """A wire format with lanes that not every server of it has: a provider's row in the catalogue opens them.

    Both are keyed by the word that the row says under `also`; `counters` are what can be asked for counts then.
    """

    also: Mapping[str, Mapping[str, Lane]]
    counters: Mapping[str, Counting]


@runtime_checkable
class LanesByModel(Protocol):
    """A wire format whose lanes are not the same for every model."""

    def lanes_for(self, model: str, family: str | None = None) -> Mapping[str, Lane]:
        """Those of one model, named as for `ByModel`."""
        ...
