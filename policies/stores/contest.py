"""Contest: one request's wait for what other processes may give back. Decides whether a refusal is the truth yet.

A refusal is true once everybody who has a share of what is lacking has said that all of it is in use, and once what
was settled here is in the books. Refuses to wait for ever: at a moment set beforehand it is over, answered or not.
"""

from collections.abc import Sequence
from enum import Enum

from policies.stores.depot import Drawn, Kind
from policies.stores.shares import Share

_MONEY = (Kind.FUND, Kind.QUOTA)


class Outcome(Enum):
    """What a draw means for a request that was not served by it."""

    AGAIN = "somebody was quicker, or it was enough: try it"
    SETTLE = "what was settled here may count twice, in the books and in the share: bring it there"
    WAIT = "others may have what is lacking, unused: they were asked"
    REFUSE = "there is not enough, whoever has it"


class Contest:
    """`until` is when the patience is over, by the running loop's clock. `settled`: what was settled here is posted."""

    __slots__ = ("asked", "missing", "settled", "until")

    def __init__(self, until: float) -> None:
        self.asked: dict[str, int] = {}
        """When each counter was first wished for, by the depot's clock."""
        self.missing: list[Share] = []
        """Of what there was not enough at the last draw."""
        self.settled = False
        self.until = until

    @property
    def over_money(self) -> bool:
        """Whether money was missing at the last draw."""
        return any(share.kind in _MONEY for share in self.missing)

    def judge(self, lacking: Sequence[tuple[Share, int]], drawn: Sequence[Drawn]) -> Outcome:
        """Learn from a draw, and say how it goes on."""
        pairs = [(share, short, each) for (share, short), each in zip(lacking, drawn, strict=True)]
        for share, _, each in pairs:
            if each.asked:
                self.asked.setdefault(share.counter, each.asked)
        missing = [(share, each) for share, short, each in pairs if short > each.free + each.granted]
        self.missing = [share for share, _ in missing]
        if not missing:
            return Outcome.AGAIN
        if not self.settled and any(share.unposted for share in self.missing):
            return Outcome.SETTLE
        # One rule that surely refuses is enough: nobody need be waited for on behalf of the others.
        return Outcome.WAIT if all(each.contested for _, each in missing) else Outcome.REFUSE
