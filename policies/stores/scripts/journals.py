"""Journals: how far what is settled here has reached the ledger, machine by machine."""

from policies.stores.scripts.lua import PRELUDE, script

_JOURNALS = """
local PLACES = string.sub(KEYS[1], 1, -4) .. 'journals'
local SEEN = PLACES .. ':seen'
"""

PLACE = script(
    PRELUDE,
    _JOURNALS,
    """
-- ARGV 3 journal, 4 us since all it held was in the ledger, or '' when it has ended so -> 'ok'
if ARGV[4] == '' then
  redis.call('ZREM', PLACES, ARGV[3])
  redis.call('ZREM', SEEN, ARGV[3])
else
  -- Several processes write one journal and any of them drains it: the latest place is the true one.
  redis.call('ZADD', PLACES, 'GT', int(now - tonumber(ARGV[4])), ARGV[3])
  redis.call('ZADD', SEEN, int(now), ARGV[3])
end
return {'ok'}
""",
)

BEHIND = script(
    PRELUDE,
    _JOURNALS,
    """
-- ARGV 3 the asker's own journal, 4 us, 5 us after which a silent one is given up -> 'ok', how many others' are behind
for _, name in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', int(now - tonumber(ARGV[5])))) do
  redis.call('ZREM', PLACES, name)
  redis.call('ZREM', SEEN, name)
end
local count = 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', PLACES, '-inf', int(now - tonumber(ARGV[4])))) do
  if name ~= ARGV[3] then count = count + 1 end
end
return {'ok', count}
""",
)
