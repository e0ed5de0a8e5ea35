"""Balances: what the ledger tells of accounts and quotas, and what is asked of them."""

from policies.stores.scripts.lua import PRELUDE, TICKETS, script

LOAD = script(
    PRELUDE,
    TICKETS,
    """
-- KEYS 2 account; ARGV 3 balance, 4 epoch, 5 how long a new generation lends to nobody, 6 ms a mark is kept,
-- then credits -> 'ok' | 'no' | 'young'
local key = KEYS[2]
renewed(key)
if redis.call('HEXISTS', key, 'a') == 1 then return {'ok'} end
if age() < tonumber(ARGV[5]) then return {'young'} end
if (redis.call('HGET', key, 'e') or '0') ~= ARGV[4] then return {'no'} end
redis.call('HSET', key, 'a', ARGV[3])
local h = redis.call('HGET', key, 'h')
if h ~= '0' then redis.call('HINCRBY', key, 'a', int(-tonumber(h))) end
local until_us = redis.call('HGET', key, 'ut')
if until_us and tonumber(until_us) > now then
  redis.call('HINCRBY', key, 'a', int(-tonumber(redis.call('HGET', key, 'u'))))
end
redis.call('HDEL', key, 'u', 'ut')
for i = 7, #ARGV do redis.call('SET', PREFIX .. 'c:' .. ARGV[i], '1', 'PX', ARGV[6]) end
return {'ok'}
""",
)

LOAD_QUOTA = script(
    PRELUDE,
    TICKETS,
    """
-- KEYS 2 quota; ARGV 3 used, 4 us since 1970 when its period ends, or '', 5 ms it is kept after that,
-- 6 how long a new generation lends to nobody -> 'ok' | 'young'
local key = KEYS[2]
renewed(key)
if redis.call('HEXISTS', key, 'a') == 1 then return {'ok'} end
if age() < tonumber(ARGV[6]) then return {'young'} end
redis.call('HSET', key, 'a', ARGV[3])
local h = redis.call('HGET', key, 'h')
if h ~= '0' then redis.call('HINCRBY', key, 'a', h) end
local until_us = redis.call('HGET', key, 'ut')
if until_us and tonumber(until_us) > now then
  redis.call('HINCRBY', key, 'a', redis.call('HGET', key, 'u'))
end
redis.call('HDEL', key, 'u', 'ut')
if ARGV[4] ~= '' then
  local left = math.max(tonumber(ARGV[4]) - now, 0) / 1000
  redis.call('PEXPIRE', key, int(left + tonumber(ARGV[5])))
end
return {'ok'}
""",
)

CREDIT = script(
    PRELUDE,
    """
-- KEYS 2 account, 3 the credit's mark; ARGV 3 amount, 4 ms the mark is kept -> 'ok' | 'no', it was told before
if redis.call('EXISTS', KEYS[3]) == 1 then return {'no'} end
local a = redis.call('HMGET', KEYS[2], 'g', 'a')
if a[1] == gen and a[2] then redis.call('HINCRBY', KEYS[2], 'a', ARGV[3]) end
redis.call('HINCRBY', KEYS[2], 'e', 1)
redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
return {'ok'}
""",
)

READ = script(
    PRELUDE,
    """
-- KEYS 2 account -> 'ok', available or '', epoch, held, age of the generation in us
local a = redis.call('HMGET', KEYS[2], 'g', 'a', 'e', 'h')
local mine = a[1] == gen
return {'ok', mine and a[2] or '', a[3] or '0', mine and a[4] or '0', age()}
""",
)

FORGET = script(
    PRELUDE,
    """
-- KEYS 2 account -> 'ok'
redis.call('HDEL', KEYS[2], 'a')
redis.call('HINCRBY', KEYS[2], 'e', 1)
return {'ok'}
""",
)
