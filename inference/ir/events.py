"""Events: an answer as it is written, piece by piece, whoever's dialect it came in. Pure.

`block` numbers the parts of one choice from 0 in the order they began; a part's pieces carry its number. Pieces of
different blocks may come interleaved (parallel tool calls); everything else comes part after part. A parser yields
what it knows as soon as it knows it; putting all events of a stream together gives the Completion that the same
answer would have been in one piece (`inference/ir/folding.py`).
"""

from msgspec import Raw, Struct

from inference.ir.completion import Finish
from inference.ir.content import NO_REST, Citation, Family, Part, Rest
from inference.ir.errors import AspendosError
from inference.ir.usage import Usage


class Began(Struct, kw_only=True, gc=False):
    """The answer's head; comes once, first. `created` is in unix seconds.

    `signer` is whose its signatures will be, where they are not the family's own: Claude's are Anthropic's anywhere.
    """

    family: Family
    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    signer: Family | None = None


class TextDelta(Struct, gc=False):
    text: str
    block: int = 0
    choice: int = 0


class RefusalDelta(Struct, gc=False):
    text: str
    block: int = 0
    choice: int = 0


class ReasoningDelta(Struct, gc=False):
    """`summary` numbers the part of a summary the text belongs to; None: it is the thought itself."""

    text: str
    block: int = 0
    choice: int = 0
    summary: int | None = None


class Sealed(Struct, gc=False):
    """An opaque piece of a block: its signature so far unknown, thought that is not shown, its id."""

    block: int = 0
    choice: int = 0
    signature: str | None = None
    redacted: str | None = None
    issuer: Family | None = None
    id: str | None = None


class CallBegan(Struct, kw_only=True, gc=False):
    """A tool is being called; the arguments follow."""

    id: str
    name: str
    block: int = 0
    choice: int = 0
    custom: bool = False
    item_id: str | None = None
    rest: Rest = NO_REST


class CallDelta(Struct, gc=False):
    """A piece of the arguments, which is no whole JSON."""

    arguments: str
    block: int = 0
    choice: int = 0


class AudioDelta(Struct, kw_only=True, gc=False):
    """A piece of speech (`data`, base64) or of its transcript."""

    data: str = ""
    transcript: str = ""
    id: str | None = None
    expires_at: int | None = None
    media_type: str | None = None
    block: int = 0
    choice: int = 0


class Whole(Struct, gc=False):
    """A part that comes in one piece: an image, a file, an opaque part."""

    part: Part
    block: int = 0
    choice: int = 0


class Cited(Struct, gc=False):
    citation: Citation
    block: int = 0
    choice: int = 0


class LogProbs(Struct, gc=False):
    """Log probabilities of the tokens just sent, as OpenAI writes them (`{"content": [...]}`)."""

    raw: Raw
    choice: int = 0


class Ended(Struct, kw_only=True, gc=False):
    """A choice is complete; `explanation` says why it was refused, where the provider does."""

    finish: Finish
    native: str | None = None
    stop_sequence: str | None = None
    explanation: str | None = None
    choice: int = 0


class Counted(Struct, gc=False):
    """Usage of the whole answer so far; the last one counts."""

    usage: Usage


class Extra(Struct, gc=False):
    """Fields or a whole event that only its family knows; `choice` None: it is about the whole answer."""

    family: Family
    rest: Rest
    choice: int | None = None


class Failed(Struct, gc=False):
    """The provider reported an error inside its stream. Nothing follows."""

    error: AspendosError


Event = (
    Began
    | TextDelta
    | RefusalDelta
    | ReasoningDelta
    | Sealed
    | CallBegan
    | CallDelta
    | AudioDelta
    | Whole
    | Cited
    | LogProbs
    | Ended
    | Counted
    | Extra
    | Failed
)
