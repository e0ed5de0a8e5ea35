"""When a refusal is the truth: what a draw means for a request that it did not serve."""

from policies.stores.contest import Contest, Outcome
from policies.stores.depot import Drawn, Kind
from policies.stores.shares import Share

FUND, SLOT = Share(Kind.FUND, "acct_a"), Share(Kind.SLOT, "s")


def judged(*pairs: tuple[Share, int, Drawn], contest: Contest | None = None) -> Outcome:
    judge = (contest or Contest(0.0)).judge
    return judge([(share, short) for share, short, _ in pairs], [drawn for *_, drawn in pairs])


def test_what_was_enough_is_tried_again() -> None:
    assert judged((FUND, 5, Drawn(5, 0))) is Outcome.AGAIN
    assert judged((FUND, 5, Drawn(0, 5))) is Outcome.AGAIN


def test_whoever_lacks_what_others_may_give_back_waits() -> None:
    contest = Contest(0.0)
    drawn = Drawn(0, 4, contested=True, asked=77)
    assert judged((FUND, 5, drawn), contest=contest) is Outcome.WAIT
    assert contest.asked == {"f/acct_a": 77} and contest.over_money
    assert judged((FUND, 5, Drawn(0, 4, contested=True, asked=99)), contest=contest) is Outcome.WAIT
    assert contest.asked == {"f/acct_a": 77}, "the first wish is the one that is to be answered"


def test_nobody_waits_where_one_rule_surely_refuses() -> None:
    waits, refuses = (FUND, 5, Drawn(0, 4, contested=True, asked=1)), (SLOT, 1, Drawn(0, 0))
    assert judged(waits, refuses) is Outcome.REFUSE
    assert judged((SLOT, 1, Drawn(0, 0, contested=True))) is Outcome.WAIT


def test_what_may_be_missing_twice_is_settled_first_and_once() -> None:
    share = Share(Kind.FUND, "acct_b")
    share.settle(0, 3)
    contest = Contest(0.0)
    assert judged((share, 5, Drawn(0, 4)), contest=contest) is Outcome.SETTLE
    contest.settled = True
    assert judged((share, 5, Drawn(0, 4)), contest=contest) is Outcome.REFUSE
