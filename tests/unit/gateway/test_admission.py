"""Admission: what limits, credit, budgets and tiers let in, and what is counted and held for it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from billing.budgets.budget import Action, Budget, Cap, Holder, Subject, SubjectKind, cap_of
from billing.budgets.period import Period
from gateway.errand import ALREADY_SETTLED
from gateway.routing.table import RoutingTable
from inference.ir.cards import Kind
from inference.ir.errors import (
    Conflict,
    Forbidden,
    ModelNotAllowed,
    PaymentRequired,
    RateLimited,
    Unavailable,
)
from policies.api_keys import Principal
from policies.stores.step import Refused
from tests.admission_world import Counting, Own, principal, table_in


@pytest.fixture
def table(tmp_path: Path) -> RoutingTable:
    return table_in(tmp_path)


class Tagged(Counting):
    """Its budgets count the tag `project=atlas`."""

    def caps(self, holder: Holder) -> tuple[Cap, ...]:
        return self.caps_of_all if ("project", "atlas") in holder.tags else ()


def holder(tier: str | None = None, account: str | None = None) -> Principal:
    return Principal(
        key_id="k",
        key_name="k",
        team_id="team_1",
        team_name="t",
        org_id="org_1",
        tier=tier,
        tier_holder="team_1" if tier else None,
        account=account,
    )


DEAR = (1024 + 40) * 1_000 + 1000 * 10_000
"""The most 40 bytes of prompt and 1,000 tokens of output can cost of `dear`, in nano-USD."""


async def test_a_request_too_many_is_refused_and_told_when(table: RoutingTable) -> None:
    counting = Counting(table)
    for _ in range(2):
        call, _ = await counting.ask(holder("few"), "chat-one")
        counting.settle(call, tokens=10)
    with pytest.raises(RateLimited, match="Your team's limit of 2 requests a minute") as caught:
        await counting.ask(holder("few"), "chat-one")
    assert caught.value.retry_after is not None
    assert (b"x-ratelimit-remaining-requests", b"0") in caught.value.headers
    counting.now += caught.value.retry_after
    await counting.ask(holder("few"), "chat-one")


async def test_a_call_that_the_counters_know_as_ended_is_told_apart_from_one_that_cannot_pay(
    table: RoutingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(table)

    async def ended(*_: object, **__: object) -> Refused:
        return Refused(None)  # as Redis says of an id that was settled

    monkeypatch.setattr(counting.store, "admit", ended)
    with pytest.raises(Conflict) as caught:
        await counting.ask(holder("few"), "chat-one")
    assert (caught.value.code, caught.value.headers) == ("already_settled", ((ALREADY_SETTLED, b"true"),))


async def test_one_at_a_time_is_one_at_a_time(table: RoutingTable) -> None:
    counting = Counting(table)
    call, _ = await counting.ask(holder("few"), "chat-one", max_output=1)
    with pytest.raises(RateLimited) as caught:
        await counting.ask(holder("few"), "chat-one", max_output=1)
    assert caught.value.code == "too_many_parallel_requests"
    counting.settle(call)
    await counting.ask(holder("few"), "chat-one", max_output=1)


async def test_tokens_are_charged_before_and_corrected_after(table: RoutingTable) -> None:
    counting = Counting(table)
    call, _ = await counting.ask(holder("few"), "dear", max_output=900)
    assert call.ticket is not None
    assert call.ticket.tokens == 910
    counting.settle(call, tokens=30)
    call, _ = await counting.ask(holder("few"), "dear", max_output=900)
    tokens = (
        next(each for each in call.ticket.standings if each.window.unit == "tokens") if call.ticket else None
    )
    assert tokens is not None
    assert tokens.remaining == 1000 - 30 - 910


async def test_a_generous_maximum_does_not_shut_out_what_a_limit_can_hold(table: RoutingTable) -> None:
    call, _ = await Counting(table).ask(holder("few"), "dear", max_output=50_000)
    assert call.ticket is not None
    assert call.ticket.tokens == 1000


async def test_what_it_can_cost_is_held(table: RoutingTable) -> None:
    counting = Counting(table, balance=DEAR)
    call, admitted = await counting.ask(holder(account="acct_1"), "dear")
    assert call.ticket is not None
    assert (call.ticket.held, call.ticket.balance) == (DEAR, 0)
    assert admitted.max_output is None
    with pytest.raises(PaymentRequired, match=r"1\.1064 are missing") as caught:
        await counting.ask(holder(account="acct_1"), "dear")
    assert caught.value.code == "insufficient_credits"
    counting.settle(call, amount=1)
    with pytest.raises(PaymentRequired, match="at most 999 tokens"):
        await counting.ask(holder(account="acct_1"), "dear")


async def test_an_empty_account_blocks_no_free_model_and_nobody_without_account(table: RoutingTable) -> None:
    counting = Counting(table)
    await counting.ask(holder(account="acct_1"), "chat-one")
    await counting.ask(holder(), "dear")
    with pytest.raises(PaymentRequired):
        await counting.ask(holder(account="acct_1"), "dear")


async def test_the_tier_may_shorten_or_switch(table: RoutingTable) -> None:
    half = DEAR - 500 * 10_000
    call, admitted = await Counting(table, balance=half).ask(holder("short", "acct_1"), "dear")
    assert admitted.max_output == 500
    assert call.ticket is not None
    assert call.ticket.held == half
    with pytest.raises(PaymentRequired):
        await Counting(table, balance=1000).ask(holder("short", "acct_1"), "dear")
    call, admitted = await Counting(table, balance=half).ask(holder("other", "acct_1"), "dear")
    assert admitted.route.model.name == "chat-one"
    assert call.model is admitted.route.model


async def test_a_model_without_an_end_gets_one_unless_it_streams(table: RoutingTable) -> None:
    plenty = Counting(table, balance=10**12)
    _, whole = await plenty.ask(holder(account="acct_1"), "endless")
    assert (whole.max_output, whole.endless) == (16_384, False)
    _, stream = await plenty.ask(holder(account="acct_1"), "endless", stream=True)
    assert (stream.max_output, stream.endless) == (None, True)
    _, free = await plenty.ask(holder(), "endless")
    assert (free.max_output, free.endless) == (None, False)
    _, given = await plenty.ask(holder(account="acct_1"), "endless", max_output=5)
    assert (given.max_output, given.endless) == (None, False)


def budget(action: Action, amount: int, to: str | None = None) -> Cap:
    made = Budget(
        id="bud_1",
        org_id="org_1",
        name="March",
        subject=Subject(kind=SubjectKind.TEAM, id="team_1"),
        period=Period.MONTH,
        time_zone="UTC",
        amount_nano=amount,
        action=action,
        downgrade_to=to,
    )
    return cap_of(made, 1_000_000.0)


async def test_a_hard_budget_refuses_what_may_exceed_it(table: RoutingTable) -> None:
    counting = Counting(table, caps=(budget(Action.HARD, DEAR),))
    call, _ = await counting.ask(holder(), "dear")
    with pytest.raises(PaymentRequired, match="The budget 'March'") as caught:
        await counting.ask(holder(), "dear")
    assert caught.value.code == "budget_exceeded"
    assert counting.refusals == list(counting.caps_of_all)
    counting.settle(call, amount=0)
    await counting.ask(holder(), "dear")
    await counting.ask(holder(), "chat-one")


async def test_a_budget_that_downgrades_goes_to_the_model_it_names_or_the_cheapest(
    table: RoutingTable,
) -> None:
    named = Counting(table, caps=(budget(Action.DOWNGRADE, DEAR, "cheap"),))
    await named.ask(holder(), "dear")
    _, admitted = await named.ask(holder(), "dear")
    assert admitted.route.model.name == "cheap"
    cheapest = Counting(table, caps=(budget(Action.DOWNGRADE, 1),))
    _, admitted = await cheapest.ask(holder(), "dear")
    assert admitted.route.model.free


async def test_what_is_not_sold_by_the_token_is_held_as_it_is_asked_for(table: RoutingTable) -> None:
    counting = Counting(table, balance=10**9)
    call, admitted = await counting.ask(holder(account="acct_1"), "painter", kind=Kind.IMAGE, images=3)
    assert call.ticket is not None
    assert call.ticket.held == 120_000_000
    assert (admitted.max_output, admitted.endless) == (None, False)
    with pytest.raises(PaymentRequired):
        await counting.ask(holder(account="acct_1"), "painter", kind=Kind.IMAGE, images=23)


async def test_the_cheapest_is_looked_for_among_those_sold_alike(table: RoutingTable) -> None:
    """`drawer` is sold by the token: nobody can say that it is cheaper than a picture."""
    counting = Counting(table, caps=(budget(Action.DOWNGRADE, 1),))
    _, admitted = await counting.ask(holder(), "painter", kind=Kind.IMAGE, images=1)
    assert admitted.route.model.name == "sketcher"


async def test_nobody_is_served_for_nothing_while_an_account_is_opened(table: RoutingTable) -> None:
    counting = Counting(table)
    with pytest.raises(Unavailable, match="is being opened"):
        await counting.ask(holder("paid"), "dear")
    await counting.ask(holder("paid"), "chat-one")


async def test_a_key_of_ones_own_is_not_paid_for_where_the_tier_allows_it(table: RoutingTable) -> None:
    counting = Counting(table)
    counting.keys = {"p": Own()}
    call, admitted = await counting.ask(holder(account="acct_1"), "dear")
    assert call.ticket is not None
    assert (call.ticket.held, call.ticket.rules.account) == (0, None)
    assert admitted.key_for is not None
    with pytest.raises(Forbidden, match="nothing is billed in its stead"):
        await counting.ask(holder("ownless", "acct_1"), "dear")
    counting.keys["p"].fallback = True
    with pytest.raises(PaymentRequired):
        await counting.ask(holder("ownless", "acct_1"), "dear")


async def test_the_tier_says_which_models_and_features(table: RoutingTable) -> None:
    counting = Counting(table)
    with pytest.raises(ModelNotAllowed, match="narrow"):
        await counting.ask(holder("narrow"), "dear")
    with pytest.raises(Forbidden, match="vision"):
        await counting.ask(holder("narrow"), "chat-one", pictures=1)
    with pytest.raises(Unavailable, match="gone"):
        await counting.ask(holder("gone"), "chat-one")


async def test_rules_are_made_once_and_anew_when_something_changes(table: RoutingTable) -> None:
    counting = Counting(table, balance=10**12)
    who = holder("few", "acct_1")
    first, _ = await counting.ask(who, "dear")
    counting.settle(first)
    second, _ = await counting.ask(who, "dear")
    assert first.ticket is not None
    assert second.ticket is not None
    assert second.ticket.rules is first.ticket.rules
    counting.settle(second)
    counting.version += 1
    counting.now += 120
    third, _ = await counting.ask(who, "dear")
    assert third.ticket is not None
    assert third.ticket.rules is not first.ticket.rules


async def test_while_the_journal_is_full_nothing_that_costs_is_begun(table: RoutingTable) -> None:
    counting = Counting(table, balance=10**12)
    counting.full = True
    with pytest.raises(Unavailable) as caught:
        await counting.ask(principal(), "dear")
    assert (caught.value.code, caught.value.http_status) == ("journal_full", 503)
    await counting.ask(principal(), "chat-one")
    counting.keys = {"p": Own()}
    call, _ = await counting.ask(principal(), "dear")
    assert call.ticket is not None
    assert call.ticket.held == 0
    counting.keys, counting.full = {}, False
    await counting.ask(principal(), "dear")


async def test_a_caller_cannot_replace_the_tags_of_the_key(table: RoutingTable) -> None:
    """Nor dodge a hard budget on them: what a request says of itself only comes beside them, the body's word first."""
    budget = Budget(
        id="b1",
        org_id="o",
        name="atlas",
        subject=Subject(kind=SubjectKind.TAG, id="project=atlas"),
        period=Period.MONTH,
        time_zone="UTC",
        amount_nano=1,
    )
    counting = Tagged(table, caps=(cap_of(budget, 1_000_000.0),))
    tagged = replace(principal(), org_id="o", tags={"project": "atlas"})
    for header, body in (
        ({}, None),
        ({"project": "other"}, None),
        ({}, {"project": "other"}),
        ({"project": "Atlas", "Project": "other"}, {"project": "true"}),
    ):
        counting.header = header
        with pytest.raises(PaymentRequired):
            await counting.ask(tagged, "dear", tags=body)
    counting.header = {"project": "other", "a": "header", "b": "header"}
    call, _ = await counting.ask(tagged, "chat-one", tags={"project": "mine", "b": "body"})
    assert call.tags == {"project": "atlas", "a": "header", "b": "body"}
