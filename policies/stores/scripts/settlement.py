"""Settlement: how a request's ticket ends, is kept alive, told again or taken from the dead."""

from policies.stores.scripts.lua import PRELUDE, TICKETS, script

SETTLE = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 ms a mark is kept, 4 us in which the ledger learns of a settlement, then id, tokens, amount ... -> 'ok'
-- Tokens -1: an admission nobody waits for is taken back; should it arrive after this, its mark refuses it.
for i = 5, #ARGV, 3 do
  local id, tokens, amount = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local key = PREFIX .. 't:' .. id
  local t = redis.call('GET', key)
  local kind = t and string.sub(t, 1, 1)
  local mark = 'S'
  if tokens < 0 then tokens, mark = 0, 'C' end
  if kind == 'O' then
    local held, had, at, same, blob = open(t)
    local rules = cmsgpack.unpack(blob)
    if same then pay(rules, held, amount, tonumber(ARGV[4])) end
    if tokens ~= had then correct(rules, at, tokens - had) end
    leave(rules, id)
  elseif kind == 'R' then
    -- reclaimed while its owner lived on: what it really cost counts, once
    local taken, _, _, same, blob = open(t)
    if same and amount ~= taken then
      pay(cmsgpack.unpack(blob), 0, amount - taken, tonumber(ARGV[4]))
    end
  end
  if t ~= 'S' and t ~= 'C' then redis.call('SET', key, mark, 'PX', ARGV[3]) end
end
return {'ok'}
""",
)

BOOK = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 ms a mark is kept, 4 us in which the ledger learns of a settlement, then id, amount, rules ... -> 'ok'
-- Spent while this Redis was away.
for i = 5, #ARGV, 3 do
  local key = PREFIX .. 't:' .. ARGV[i]
  if redis.call('EXISTS', key) == 0 then
    pay(cmsgpack.unpack(ARGV[i + 2]), 0, tonumber(ARGV[i + 1]), tonumber(ARGV[4]))
    redis.call('SET', key, 'S', 'PX', ARGV[3])
  end
end
return {'ok'}
""",
)

RESTORE = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 lease, then id, tokens, held, at, rules ... -> 'ok'. Tickets this generation has not heard of.
local lease = int(now + tonumber(ARGV[3]))
for i = 4, #ARGV, 5 do
  local id, tokens, held, at, blob = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local key = PREFIX .. 't:' .. id
  local t = redis.call('GET', key)
  local mine = t and string.sub(t, 26, 41) == gen
  if not mine and t ~= 'S' and t ~= 'C' then
    local rules, amount = cmsgpack.unpack(blob), tonumber(held)
    local function take(account, sign)
      renewed(account)
      if amount == 0 then return end
      if redis.call('HEXISTS', account, 'a') == 1 then
        redis.call('HINCRBY', account, 'a', int(sign * amount))
      end
      redis.call('HINCRBY', account, 'h', held)
    end
    if rules[1] ~= '' then take(rules[1], -1) end
    for _, quota in ipairs(rules[5]) do take(quota[1], 1) end
    for _, slot in ipairs(rules[4]) do
      redis.call('ZADD', slot[1], lease, id)
    end
    redis.call('SET', key, pack(amount, tonumber(tokens), tonumber(at), blob))
    redis.call('ZADD', LEASES, lease, id)
  end
end
return {'ok'}
""",
)

RENEW = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 lease, then ids -> 'ok', {ids that are no longer open}
local lease, lost = int(now + tonumber(ARGV[3])), {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local t = redis.call('GET', PREFIX .. 't:' .. id)
  if t and string.sub(t, 1, 1) == 'O' then
    local _, _, _, _, blob = open(t)
    for _, slot in ipairs(cmsgpack.unpack(blob)[4]) do
      redis.call('ZADD', slot[1], lease, id)
    end
    redis.call('ZADD', LEASES, lease, id)
  else
    lost[#lost + 1] = id
  end
end
return {'ok', lost}
""",
)

EXPIRED = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 how many, 4 us since the lease ended -> 'ok', {id, account, held, at, quota...} ...
local found = {}
local before = int(now - tonumber(ARGV[4]))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', before, 'LIMIT', 0, ARGV[3])) do
  local key = PREFIX .. 't:' .. id
  local t = redis.call('GET', key)
  if not t or string.sub(t, 1, 1) ~= 'O' then
    redis.call('ZREM', LEASES, id)
  else
    local held, _, at, same, blob = open(t)
    local rules = cmsgpack.unpack(blob)
    if same then
      local entry = {id, rules[1], held, at}
      for _, quota in ipairs(rules[5]) do entry[#entry + 1] = quota[1] end
      found[#found + 1] = entry
    else
      leave(rules, id)  -- a ghost: the generation that held its money is gone
      redis.call('DEL', key)
    end
  end
end
return {'ok', found}
""",
)

RECLAIM = script(
    PRELUDE,
    TICKETS,
    """
-- ARGV 3 id, 4 amount, 5 ms a mark is kept, 6 us in which the ledger learns of a settlement -> 'ok' | 'no'
local id, amount = ARGV[3], tonumber(ARGV[4])
local key = PREFIX .. 't:' .. id
local t = redis.call('GET', key)
if not t or string.sub(t, 1, 1) ~= 'O' then return {'no'} end
local ends = redis.call('ZSCORE', LEASES, id)
if ends and tonumber(ends) > now then return {'no'} end
local held, tokens, at, same, blob = open(t)
local rules = cmsgpack.unpack(blob)
if same then pay(rules, held, amount, tonumber(ARGV[6])) end
leave(rules, id)
redis.call('SET', key, 'R' .. string.sub(pack(amount, tokens, at, blob), 2), 'PX', ARGV[5])
return {'ok'}
""",
)
