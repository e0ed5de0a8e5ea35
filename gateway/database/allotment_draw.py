"""What a draw gives each bid, of what it found in the tables. Pure: it reads and writes nothing.

Moments are microseconds by the depot's clock. A wish bears a moment no earlier than any answer there is, an answer one
after the wishes it answers, so that which came first shows even where clocks were set back.
"""

from msgspec import Struct, field

from policies.stores.depot import Bid, Drawn, Kind

_US = 1_000_000
PRESSED = _US
"""While another's wish is no older nothing is given ahead: it would only be asked back."""


class Standing(Struct):
    """How one counter stands in a draw, which goes on counting as its bids are served."""

    others: int = 0
    answers: list[int] = field(default_factory=list[int])
    """When each of the others that have some said last that it uses all of it."""
    pressed: bool = False
    """Another process lacked some of it just now."""
    own: int | None = None
    own_answer: int = 0
    wanted_at: int = 0
    spent: int | None = None
    died: bool = False
    ahead: bool = False
    """Some was given ahead in this draw: once is enough, or a hundred bids of one process would leave the others
    nothing."""


class Found(Struct):
    """What a draw reads before it decides; `wished`: others are to hear that something is lacking."""

    now: int
    processes: int
    standings: dict[str, Standing]
    funds: dict[str, int]
    wished: bool = False


def serve(bid: Bid, process: str, found: Found, noted: dict[str, dict[str, object]]) -> list[Drawn]:
    """All of a bid, or nothing but the note that it is wanted. `noted` are the rows to write."""
    free: list[int] = []
    for want in bid.wants:
        standing = found.standings[want.counter]
        share = max(standing.own or 0, want.share) if want.counter in noted else want.share
        capacity = found.funds[want.counter] if want.kind is Kind.FUND else want.limit
        spent = standing.spent or 0 if want.kind is Kind.QUOTA else 0
        free.append(capacity - spent - standing.others - share)
    known = [
        want.kind is not Kind.QUOTA
        or (found.standings[want.counter].spent is not None and not found.standings[want.counter].died)
        for want in bid.wants
    ]
    fits = all(known) and all(want.short <= left for want, left in zip(bid.wants, free, strict=True))
    drawn: list[Drawn] = []
    for want, left, told in zip(bid.wants, free, known, strict=True):
        standing = found.standings[want.counter]
        granted = 0
        if fits:
            reserved = standing.ahead or standing.pressed
            ahead = 0 if reserved else left // max(want.part, 2 * found.processes)
            granted = min(max(want.short, ahead), left)
            standing.ahead = True
            if granted > want.short:
                standing.own_answer = 0
        lacks = not fits and want.short > left and bool(standing.answers)
        wished_at = max(found.now, *standing.answers) if lacks else 0
        asked = want.asked or wished_at
        contested = lacks and min(standing.answers) <= asked
        wishes = contested and (not want.asked or found.now - standing.wanted_at > _US)
        if granted or wishes:
            own = max(standing.own or 0, want.share) if want.counter in noted else want.share
            standing.own = own + granted
            if wishes:
                standing.wanted_at = wished_at
                found.wished = True
            noted[want.counter] = {
                "counter": want.counter,
                "process": process,
                "share": standing.own,
                "linger": int(want.linger * _US),
                "wanted_at": standing.wanted_at,
                "answered_at": standing.own_answer,
            }
        drawn.append(Drawn(granted, left - granted, told, contested, asked))
    return drawn


def counts(expires_at: int | None, linger: int, now: int) -> bool:
    """Whether a share is still reserved."""
    return expires_at is not None and expires_at + linger > now
