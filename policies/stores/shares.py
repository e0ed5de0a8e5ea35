"""Shares: counters of which this process may use a part on its own, and rules tied to them. Refuses to await.

Used and share are compared in the same way for all: what is counted here never exceeds what was drawn here. A share
is only ever lowered to what is used: of a window, to what was used in the interval that ends now. So at any moment
the last S seconds of every process lie within its share, and those of all within the limit, as the shares do.
"""

from collections.abc import Callable, Collection

from policies.stores.counters import Shelf
from policies.stores.depot import Kind, Row, Want
from policies.stores.refusal import Level, Levels
from policies.stores.step import Quota, Rules, Slot, Standing, Unit, Window
from policies.stores.window import BUCKETS, MICROSECONDS, Count

_IDLE = 600 * MICROSECONDS
_LONG = 60
"""Of a window longer than this, seconds, little is drawn ahead: what a dead process had of it is lost for so long."""
_TOKENS = Unit.TOKENS


class Share:
    """A counter's part. `used` includes what is held, and what is `settled` but still in the share.

    `spare` is what was free for everybody at the last draw. In microseconds: before `refused_until` the depot is
    not asked again for more than was there; before `contested_until` it was asked a moment ago, and others are about
    to answer; before `unsure_until` they did not in time a moment ago, and are not waited for again.
    """

    __slots__ = (
        "contested_until",
        "counter",
        "dirty",
        "holders",
        "kind",
        "limit",
        "linger",
        "part",
        "refused_until",
        "settled",
        "share",
        "spare",
        "unsure_until",
        "used",
        "used_at",
    )

    def __init__(self, kind: Kind, key: str, *, linger: float = 0.0, part: int = 2) -> None:
        self.kind = kind
        self.counter = f"{kind}/{key}"
        self.linger = linger
        self.part = part
        self.limit = 0
        self.share = self.spare = self.used = self.settled = 0
        self.refused_until = self.contested_until = self.unsure_until = 0
        self.used_at = self.holders = 0
        self.dirty = False

    def now_used(self, now: int) -> int:
        """What is used as of now, in microseconds."""
        return self.used

    def trim(self, now: int) -> bool:
        """Keep no more than is used; whether that changed anything."""
        over = self.share - self.now_used(now)
        if over <= 0:
            return False
        self.share -= over
        self.spare += over
        return True

    def cover(self, now: int) -> None:
        """What was used beyond the share (more tokens than estimated, a cost above its hold) belongs to it."""
        self.share = max(self.share, self.now_used(now))

    def posted(self, amount: int) -> None:
        """`amount` of what was settled is in the books by now: it need not be kept from others any more."""
        self.settled -= amount
        self.used -= amount
        self.share -= amount

    def settle(self, held: int, amount: int) -> None:
        """What was held became `amount` spent."""
        self.used += amount - held
        self.settled += amount

    @property
    def unposted(self) -> bool:
        """Whether the ledger may know already of something that is still in the share, so that it counts twice."""
        return self.kind is Kind.FUND and self.settled != 0

    def want(self, short: int, asked: int = 0) -> Want:
        """In the words of the depot."""
        return Want(self.counter, self.kind, self.share, short, self.limit, self.linger, self.part, asked)

    def row(self, *, spent: int = 0, tight: bool = False) -> Row:
        """In the words of the depot."""
        return Row(self.counter, self.kind, self.share, self.linger, spent, tight)

    def idle(self, now: int) -> bool:
        """Whether it can be forgotten: nobody is tied to it, and nobody elsewhere need know of it."""
        return not (self.holders or self.share or self.dirty or self.now_used(now))


class WindowShare(Share):
    """A window's part."""

    __slots__ = ("count",)

    def __init__(self, window: Window) -> None:
        super().__init__(
            Kind.WINDOW,
            f"{window.unit}/{window.seconds}/{window.key}",
            linger=float(window.seconds),
            part=2 if window.seconds <= _LONG else 16,
        )
        self.count = Count(window.seconds)

    def now_used(self, now: int) -> int:
        """What was used in the window that ends now."""
        if self.count.leaves <= now:
            self.count.expire(now)
        return self.count.total


class Bound:
    """Rules tied to their shares, so that a step looks nothing up."""

    __slots__ = (
        "fund",
        "lenient",
        "money",
        "open",
        "quotas",
        "rules",
        "slots",
        "tokens",
        "used_at",
        "windows",
    )

    def __init__(self, rules: Rules, shelf: Shelf[str, Share], now: int) -> None:
        def held(counter: str, make: Callable[[], Share], limit: int | None) -> Share:
            share = shelf.get(counter, now, make)
            share.holders += 1
            if limit is not None and share.limit != limit:
                if limit < share.limit:
                    share.dirty = share.trim(now) or share.dirty
                share.limit = limit
                share.spare = share.refused_until = 0
            return share

        def window_share(window: Window) -> WindowShare:
            name = f"{Kind.WINDOW}/{window.unit}/{window.seconds}/{window.key}"
            share = held(name, lambda: WindowShare(window), window.limit)
            assert isinstance(share, WindowShare)
            return share

        def plain(kind: Kind, key: str, limit: int | None) -> Share:
            return held(f"{kind}/{key}", lambda: Share(kind, key), limit)

        self.rules = rules
        self.open = 0
        self.used_at = now
        self.windows = [(window_share(w), w.unit is _TOKENS, w) for w in rules.windows]
        self.tokens = [share for share, per_token, _ in self.windows if per_token]
        self.slots: list[tuple[Share, Slot]] = [(plain(Kind.SLOT, s.key, s.limit), s) for s in rules.slots]
        self.quotas: list[tuple[Share, Quota]] = [
            (plain(Kind.QUOTA, quota.key, quota.limit), quota) for quota in rules.quotas
        ]
        self.fund = None if rules.account is None else plain(Kind.FUND, rules.account, None)
        self.money = [share for share, quota in self.quotas if quota.limit is not None]
        self.lenient = len(self.money) < len(self.quotas)
        """Whether some quota only counts, so that what it sees may exceed its share."""
        if self.fund is not None:
            self.money.append(self.fund)

    def shares(self) -> list[Share]:
        """All of them."""
        funds = [] if self.fund is None else [self.fund]
        return [
            *(share for share, *_ in self.windows),
            *(share for share, _ in self.slots),
            *(share for share, _ in self.quotas),
            *funds,
        ]

    def idle(self, now: int) -> bool:
        """Whether no request has used it for long; if so it lets go of its shares."""
        if self.open or now - self.used_at < _IDLE:
            return False
        for share in self.shares():
            share.holders -= 1
        return True

    def fits(self, now: int, tokens: int, amount: int) -> bool:
        """Whether all of it fits into the shares; brings the windows up to `now`."""
        fitting = True
        for share, per_token, _ in self.windows:
            count = share.count
            if count.leaves <= now:
                count.expire(now)
            if count.total + (tokens if per_token else 1) > share.share:
                fitting = False  # and on, so that the others are brought up to now as well
        if not fitting:
            return False
        for share, _ in self.slots:
            if share.used >= share.share:
                return False
        return self.affords(amount)

    def affords(self, amount: int) -> bool:
        """Whether the shares of account and quotas cover `amount` more; 0 is always covered."""
        if amount:
            for share in self.money:
                if share.used + amount > share.share:
                    return False
        return True

    def shorts(self, now: int, tokens: int, amount: int) -> list[tuple[Share, int]]:
        """What the shares lack."""
        needs = [
            *((share, tokens if per_token else 1) for share, per_token, _ in self.windows),
            *((share, 1) for share, _ in self.slots),
        ]
        lacking = [(share, share.now_used(now) + need - share.share) for share, need in needs]
        return [(share, short) for share, short in lacking if short > 0] + self.shorts_of_money(amount)

    def shorts_of_money(self, amount: int) -> list[tuple[Share, int]]:
        """What the shares of account and quotas lack for `amount` more."""
        if not amount:
            return []
        lacking = [(share, share.used + amount - share.share) for share in self.money]
        return [(share, short) for share, short in lacking if short > 0]

    def hold(self, amount: int) -> int | None:
        """Take `amount` from quotas and account; what the account has left, as far as is known here."""
        for share, _ in self.quotas:
            share.used += amount
        fund = self.fund
        if fund is None:
            return None
        fund.used += amount
        return self.rules.floor + fund.share - fund.used + fund.spare

    def standings(self, now: int) -> tuple[Standing, ...]:
        """Of the windows: what is left here and, as far as is known, elsewhere."""
        return tuple(
            Standing(window, max(share.share - share.count.total + share.spare, 0), share.count.reset(now))
            for share, _, window in self.windows
        )

    def levels(self, now: int, tokens: int, patience: float) -> Levels:
        """How every rule stands as far as is known, for a request that does not fit."""
        fund = self.fund
        return Levels(
            now / MICROSECONDS,
            [
                _level(share, now, tokens if per_token else 1, window, patience)
                for share, per_token, window in self.windows
            ],
            [slot.limit - (share.share - share.used + share.spare) for share, slot in self.slots],
            [(quota.limit or 0) - (share.share - share.used + share.spare) for share, quota in self.quotas],
            None if fund is None else self.rules.floor + fund.share - fund.used + fund.spare,
        )


def _level(share: WindowShare, now: int, cost: int, window: Window, patience: float) -> Level:
    """Where others hold what is missing, the wait is until something may have changed: nobody knows when it has."""
    here = share.share + share.spare
    total = window.limit - here + share.count.total
    reset = share.count.reset(now)
    if cost > window.limit:
        return Level(total, None, reset)
    if cost <= here:
        return Level(total, share.count.wait(now, cost, here), reset)
    return Level(total, max(patience, window.seconds / BUCKETS), reset)


def unspent(shares: Collection[Share]) -> list[str]:
    """The accounts of which something is left."""
    return [share.counter for share in shares if share.kind is Kind.FUND and share.share > share.used]
