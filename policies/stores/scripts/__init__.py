"""Scripts: every word this package says to Redis, in Lua, each one atomic step. Refuses to know Python's side.

Keys, all behind one prefix with one hash tag, so that on a Redis Cluster they lie in one slot:

    gen              this generation's name; whoever greets a restarted or emptied Redis makes a new one
    gen:at, gen:run  when it was made, for which run of the server
    w:...            a window: total, then pairs (bucket, units), packed as doubles, oldest first
    s:...            a slot: sorted set, request id -> end of its lease
    a:...            an account: g generation, a available, h held, e epoch, u spent while unknown, ut until when
    q:...            a quota: g, a spent and held, h, u, ut
    t:...            a request: O open (held, tokens, at, generation, rules), R reclaimed, S settled, C taken back
    leases           sorted set, request id -> end of its lease
    c:...            a credit told
    journals         sorted set, machine -> when the ledger last had all of its journal; journals:seen, when it said so

An account or quota of another generation counts as unknown. Amounts past 2^53 nano-USD (nine million dollars),
where Lua's numbers are not exact, are changed by HINCRBY, which is over 64 bits; near a floor of such a size or a
quota's limit the comparison is exact to a few nano-USD. What can overflow is written first, so that an error
leaves nothing half done.
"""

from policies.stores.scripts.admission import ADMIT, EXTEND, GREET
from policies.stores.scripts.balances import CREDIT, FORGET, LOAD, LOAD_QUOTA, READ
from policies.stores.scripts.journals import BEHIND, PLACE
from policies.stores.scripts.lua import Script
from policies.stores.scripts.settlement import BOOK, EXPIRED, RECLAIM, RENEW, RESTORE, SETTLE

ALL = (
    *(GREET, ADMIT, EXTEND, SETTLE, BOOK, RESTORE, RENEW, EXPIRED),
    *(RECLAIM, LOAD, LOAD_QUOTA, CREDIT, READ, FORGET, PLACE, BEHIND),
)

__all__ = [
    "ADMIT",
    "ALL",
    "BEHIND",
    "BOOK",
    "CREDIT",
    "EXPIRED",
    "EXTEND",
    "FORGET",
    "GREET",
    "LOAD",
    "LOAD_QUOTA",
    "PLACE",
    "READ",
    "RECLAIM",
    "RENEW",
    "RESTORE",
    "SETTLE",
    "Script",
]
