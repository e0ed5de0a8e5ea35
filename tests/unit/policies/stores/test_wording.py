"""Rules in Redis' words and answers read back."""

import msgspec
import pytest

from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Unit, Window
from policies.stores.window import bucket_width
from policies.stores.wording import Expired, Wording, cold, number, refused, ticket

MINUTE = Window("key1", Unit.TOKENS, 100, 60)
RULES = Rules(
    windows=(MINUTE,),
    slots=(Slot("team", 2),),
    quotas=(Quota("month", 50, 2_000.0), Quota("all", None, 2_000.0)),
    account="acct",
    floor=-7,
)


def test_rules_name_full_keys_in_one_hash_slot() -> None:
    account, floor, windows, slots, quotas = msgspec.msgpack.decode(Wording("x:{y}:").rules(RULES))
    assert (account, floor) == ("x:{y}:a:acct", -7)
    assert windows == [["x:{y}:w:tokens:60:key1", 1, 100, bucket_width(60)]]
    assert slots == [["x:{y}:s:team", 2]]
    assert quotas == [["x:{y}:q:month", 50], ["x:{y}:q:all", -1]]
    assert msgspec.msgpack.decode(Wording().rules(Rules()))[:2] == ["", 0]


def test_what_lua_cannot_count_is_cut_to_what_it_can() -> None:
    great = Rules(windows=(msgspec.structs.replace(MINUTE, limit=2**70),), floor=-(2**70), account="a")
    _, floor, windows, _, _ = msgspec.msgpack.decode(Wording().rules(great))
    assert (floor, windows[0][2]) == (-(2**53), 2**53)


def test_answers_are_read() -> None:
    let_in = ticket("r", RULES, 10, 5, [b"ok", 3_000_000, b"40", [30, 61_000_001]])
    assert (let_in.at, let_in.held, let_in.balance, let_in.tokens) == (3.0, 5, 35, 10)
    assert (let_in.standings[0].remaining, let_in.standings[0].reset) == (70, 61.000001)
    assert ticket("r", Rules(), 0, 0, [b"ok", 1, b""]).balance is None
    kept_out = refused(RULES, 5, [b"no", 1_000_000, b"40", [b"0", b"9"], [0], [95, 2_500_000, 9_000_000]])
    assert (kept_out.by, kept_out.retry_after, kept_out.remaining) == (MINUTE, 2.5, 5)
    never = refused(RULES, 5, [b"no", 1_000_000, b"40", [b"0", b"9"], [0], [95, -1, 9_000_000]])
    assert never.retry_after is None
    poor = refused(RULES, 48, [b"no", 1_000_000, b"40", [b"0", b"9"], [0], [95, 0, 9_000_000]])
    assert poor == Refused(None, "acct", None, 47, poor.standings)
    assert cold(RULES, [-1, 1]) == Cold(("acct",), (RULES.quotas[1],))
    assert cold(RULES, [0]) == Cold((), (RULES.quotas[0],))
    with pytest.raises(AssertionError):
        refused(RULES, 5, [b"no", 1_000_000, b"40", [b"0", b"9"], [0], [95, 0, 9_000_000]])


def test_what_was_left_behind_is_read() -> None:
    words = Wording("x:{y}:")
    entry = [b"r", b"x:{y}:a:acct", 5, 2_500_000, b"x:{y}:q:month"]
    assert words.expired(entry) == Expired("r", "acct", 5, 2.5, ("month",))
    assert words.expired([b"r", b"", 0, 0]).account is None


def test_numbers_whose_sums_could_overflow_are_refused() -> None:
    assert number(-(2**62)) == b"-4611686018427387904"
    with pytest.raises(ValueError, match="beyond"):
        number(2**62 + 1)
