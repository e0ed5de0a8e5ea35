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

An account or quota of another generation counts as unknown. Amounts past 2^53 nano-USD (nine million dollars),
where Lua's numbers are not exact, are changed by HINCRBY, which is over 64 bits; near a floor of such a size or a
quota's limit the comparison is exact to a few nano-USD. What can overflow is written first, so that an error
leaves nothing half done.
"""

import hashlib

from msgspec import Struct

from policies.stores.window import BUCKETS

_PRELUDE = (
    """
local N = """
    + str(BUCKETS)
    + """
local gen = ARGV[1]
if redis.call('GET', KEYS[1]) ~= gen then return {'gen'} end
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function int(x) return string.format('%.0f', x) end
-- Add to both counters of an account or quota at once; past 2^53, where Lua is not exact, one by one.
local function add(key, a, h, to_a, to_h)
  local sum_a, sum_h = tonumber(a) + to_a, tonumber(h) + to_h
  if math.abs(sum_a) < 9e15 and math.abs(sum_h) < 9e15 and math.abs(tonumber(a)) < 9e15 then
    redis.call('HSET', key, 'a', int(sum_a), 'h', int(sum_h))
  else
    redis.call('HINCRBY', key, 'a', int(to_a))
    redis.call('HINCRBY', key, 'h', int(to_h))
  end
end
local function age() return now - tonumber(redis.call('GET', KEYS[1] .. ':at') or '0') end
"""
)

# Reading, ending and correcting tickets, for the scripts that change what is held.
_TICKETS = """
local PREFIX = string.sub(KEYS[1], 1, -4)
local LEASES = PREFIX .. 'leases'

local function pack(held, tokens, at, blob)
  return 'O' .. struct.pack('<ddd', held, tokens, at) .. gen .. blob
end

local function open(t)
  local held, tokens, at = struct.unpack('<ddd', t, 2)
  return held, tokens, at, string.sub(t, 26, 41) == gen, string.sub(t, 42)
end

-- What an account or quota of another generation knows is void, but for its epoch.
local function renewed(key)
  if redis.call('HGET', key, 'g') ~= gen then
    redis.call('HDEL', key, 'a', 'u', 'ut')
    redis.call('HSET', key, 'g', gen, 'h', '0')
  end
end

-- `sign` 1: a counts what is left (account); -1: what is used (quota).
local function change(key, sign, held, amount, within)
  local x = redis.call('HMGET', key, 'g', 'a', 'h')
  if x[1] == gen and x[2] then
    if held ~= 0 or amount ~= 0 then add(key, x[2], x[3], sign * (held - amount), -held) end
    return
  end
  renewed(key)
  if held ~= 0 then redis.call('HINCRBY', key, 'h', int(-held)) end
  if amount ~= 0 then
    local before = tonumber(redis.call('HGET', key, 'ut') or '0')
    if before <= now then redis.call('HDEL', key, 'u') end
    redis.call('HINCRBY', key, 'u', int(amount))
    redis.call('HSET', key, 'ut', int(now + within))
  end
end

local function pay(rules, held, amount, within)
  if rules[1] ~= '' then change(rules[1], 1, held, amount, within) end
  for _, quota in ipairs(rules[5]) do change(quota[1], -1, held, amount, within) end
end

local function leave(rules, id)
  for _, slot in ipairs(rules[4]) do redis.call('ZREM', slot[1], id) end
  redis.call('ZREM', LEASES, id)
end

local function correct(rules, at, difference)
  for _, w in ipairs(rules[3]) do
    if w[2] == 1 then
      local key, bucket = w[1], math.floor(at / w[4])
      local s = redis.call('GET', key)
      if s then
        local pos = #s - 15
        local index, count
        while pos > 8 do
          index, count = struct.unpack('<dd', s, pos)
          if index <= bucket then break end
          pos = pos - 16
        end
        if pos > 8 and index == bucket then
          local changed = math.max(count + difference, 0)
          local total = struct.unpack('<d', s) + changed - count
          local put = struct.pack('<d', total) .. string.sub(s, 9, pos - 1)
          put = put .. struct.pack('<dd', bucket, changed) .. string.sub(s, pos + 16)
          redis.call('SET', key, put, 'KEEPTTL')
        end
      end
    end
  end
end
"""

# Whether account and quotas are known and cover `amount`; before: of rules, amount; gives cold and short.
_AFFORD = """
local function afford(rules, amount)
  local cold, short, balance, used, known = {}, false, false, {}, {}
  if rules[1] ~= '' then
    local a = redis.call('HMGET', rules[1], 'g', 'a', 'h')
    if a[1] ~= gen or not a[2] then
      cold[#cold + 1] = -1
    else
      balance, known[0] = a[2], a
      if amount > 0 and tonumber(balance) - amount < rules[2] then short = true end
    end
  end
  for i, quota in ipairs(rules[5]) do
    local q = redis.call('HMGET', quota[1], 'g', 'a', 'h')
    if q[1] ~= gen or not q[2] then
      cold[#cold + 1] = i - 1
    else
      used[i], known[i] = q[2], q
      if quota[2] >= 0 and amount > 0 and tonumber(q[2]) + amount > quota[2] then short = true end
    end
  end
  return cold, short, balance, used, known
end

local function hold(rules, amount, known)
  if amount == 0 then return end
  if rules[1] ~= '' then add(rules[1], known[0][2], known[0][3], -amount, amount) end
  for i, quota in ipairs(rules[5]) do add(quota[1], known[i][2], known[i][3], amount, amount) end
end
"""


class Script(Struct, frozen=True):
    """A script and the name Redis knows it by."""

    source: bytes
    sha: bytes


def _script(*parts: str) -> Script:
    source = "".join(parts).encode()
    return Script(source, hashlib.sha1(source).hexdigest().encode())  # noqa: S324 - the name Redis gives it


GREET = _script(
    """
-- KEYS gen; ARGV run of the server, a name for a new generation, now or '', the generation the asker comes from or ''
-- -> name, its age in us
local run, name = redis.call('GET', KEYS[1] .. ':run'), redis.call('GET', KEYS[1])
local now = tonumber(ARGV[3])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
-- Where nobody comes from an earlier generation, nobody has anything to bring: an empty Redis at a first start.
local came = ARGV[4] ~= ''
local at
if name and run == ARGV[1] then
  at = tonumber(redis.call('GET', KEYS[1] .. ':at') or '0')
  if at > 0 or not came or ARGV[4] == name then return {name, now - at} end
else
  if name then came = true end
  name = ARGV[2]
end
at = came and now or 0
redis.call('SET', KEYS[1] .. ':run', ARGV[1])
redis.call('SET', KEYS[1] .. ':at', string.format('%.0f', at))
redis.call('SET', KEYS[1], name)
return {name, now - at}
"""
)

ADMIT = _script(
    _PRELUDE,
    _AFFORD,
    """
-- ARGV 3 id, 4 lease, 5 tokens, 6 amount, 7 rules, 8 how long a new generation lends to nobody
-- -> 'ok', now, balance before, {total, reset}... | 'no', now, balance, {used...}, {taken...}, {total, wait, reset}...
--  | 'cold', {which...} | 'again', held, tokens, at | 'ended' | 'back' | 'young'
local PREFIX = string.sub(KEYS[1], 1, -4)
local id, tokens, amount = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local rules = cmsgpack.unpack(ARGV[7])
local W, S = rules[3], rules[4]

local keys = {PREFIX .. 't:' .. id}
for i, w in ipairs(W) do keys[i + 1] = w[1] end
local states = redis.call('MGET', unpack(keys))
local there = states[1]
if there then
  if there == 'C' then return {'back'} end
  if string.sub(there, 1, 1) ~= 'O' then return {'ended'} end
  local held, had, at = struct.unpack('<ddd', there, 2)
  return {'again', held, had, at}
end

local cold, short, balance, used, known = afford(rules, amount)
if #cold > 0 then
  if age() < tonumber(ARGV[8]) then return {'young'} end
  return {'cold', cold}
end

local full, taken = false, {}
for i, slot in ipairs(S) do
  taken[i] = redis.call('ZCARD', slot[1])
  if taken[i] >= slot[2] then
    redis.call('ZREMRANGEBYSCORE', slot[1], '-inf', int(now))
    taken[i] = redis.call('ZCARD', slot[1])
    if taken[i] >= slot[2] then full = true end
  end
end

local over, live, totals, starts = false, {}, {}, {}
for i, w in ipairs(W) do
  local width = w[4]
  local current = math.floor(now / width)
  local s = states[i + 1] or ''
  local total, pos = 0, 9
  if #s > 8 then
    local newest = struct.unpack('<d', s, #s - 15)
    if newest > current + N then
      s = ''  -- the server's clock went back by more than the window: nothing of this can be judged
    else
      if newest > current then current = newest end
      total = struct.unpack('<d', s)
      while pos < #s do
        local index, count = struct.unpack('<dd', s, pos)
        if index >= current - N then break end
        total = total - count
        pos = pos + 16
      end
    end
  end
  live[i], totals[i], starts[i] = s, total, pos
  if total + (w[2] == 1 and tokens or 1) > w[3] then over = true end
end

if short or full or over then
  local reply = {'no', now, balance or '', used, taken}
  for i, w in ipairs(W) do
    local s, excess = live[i], totals[i] + (w[2] == 1 and tokens or 1) - w[3]
    local wait, reset = 0, 0
    if (w[2] == 1 and tokens or 1) > w[3] then wait = -1 end
    for pos = starts[i], #s - 15, 16 do
      local index, count = struct.unpack('<dd', s, pos)
      local gone = (index + N + 1) * w[4] - now + 1
      if excess > 0 then
        excess = excess - count
        if excess <= 0 and wait == 0 then wait = gone end
      end
      if count > 0 then reset = gone end
    end
    reply[i + 5] = {totals[i], wait, reset}
  end
  return reply
end

hold(rules, amount, known)
local lease = int(now + tonumber(ARGV[4]))
for _, slot in ipairs(S) do
  redis.call('ZADD', slot[1], lease, id)
end
local reply = {'ok', now, balance or ''}
for i, w in ipairs(W) do
  local width, s, pos = w[4], live[i], starts[i]
  local cost = w[2] == 1 and tokens or 1
  local bucket, count, kept = math.floor(now / width), cost, ''
  if pos < #s then
    local newest, had = struct.unpack('<dd', s, #s - 15)
    if newest >= bucket then
      bucket, count, kept = newest, had + cost, string.sub(s, pos, #s - 16)
    else
      kept = string.sub(s, pos)
    end
  end
  local total, reset = totals[i] + cost, 0
  if count > 0 then
    reset = (bucket + N + 1) * width - now + 1
  else
    for at = 1, #kept, 16 do
      local index, units = struct.unpack('<dd', kept, at)
      if units > 0 then reset = (index + N + 1) * width - now + 1 end
    end
  end
  local put = struct.pack('<d', total) .. kept .. struct.pack('<dd', bucket, count)
  redis.call('SET', w[1], put, 'PX', int(math.ceil((N + 2) * width / 1000)))
  reply[i + 3] = {total, reset}
end
redis.call('SET', keys[1], 'O' .. struct.pack('<ddd', amount, tokens, now) .. gen .. ARGV[7])
redis.call('ZADD', PREFIX .. 'leases', lease, id)
return reply
""",
)

EXTEND = _script(
    _PRELUDE,
    _TICKETS,
    _AFFORD,
    """
-- ARGV 3 id, 4 amount -> 'ok', balance before | 'no'
local key, amount = PREFIX .. 't:' .. ARGV[3], tonumber(ARGV[4])
local t = redis.call('GET', key)
if not t or string.sub(t, 1, 1) ~= 'O' then return {'no'} end
local held, tokens, at, same, blob = open(t)
if not same then return {'no'} end
local rules = cmsgpack.unpack(blob)
local cold, short, balance, _, known = afford(rules, amount)
if #cold > 0 or short then return {'no'} end
hold(rules, amount, known)
redis.call('SET', key, pack(held + amount, tokens, at, blob))
return {'ok', balance or ''}
""",
)

SETTLE = _script(
    _PRELUDE,
    _TICKETS,
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

BOOK = _script(
    _PRELUDE,
    _TICKETS,
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

RESTORE = _script(
    _PRELUDE,
    _TICKETS,
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

RENEW = _script(
    _PRELUDE,
    _TICKETS,
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

EXPIRED = _script(
    _PRELUDE,
    _TICKETS,
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

RECLAIM = _script(
    _PRELUDE,
    _TICKETS,
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

LOAD = _script(
    _PRELUDE,
    _TICKETS,
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

LOAD_QUOTA = _script(
    _PRELUDE,
    _TICKETS,
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

CREDIT = _script(
    _PRELUDE,
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

READ = _script(
    _PRELUDE,
    """
-- KEYS 2 account -> 'ok', available or '', epoch, held, age of the generation in us
local a = redis.call('HMGET', KEYS[2], 'g', 'a', 'e', 'h')
local mine = a[1] == gen
return {'ok', mine and a[2] or '', a[3] or '0', mine and a[4] or '0', age()}
""",
)

FORGET = _script(
    _PRELUDE,
    """
-- KEYS 2 account -> 'ok'
redis.call('HDEL', KEYS[2], 'a')
redis.call('HINCRBY', KEYS[2], 'e', 1)
return {'ok'}
""",
)

ALL = (
    *(GREET, ADMIT, EXTEND, SETTLE, BOOK, RESTORE, RENEW, EXPIRED),
    *(RECLAIM, LOAD, LOAD_QUOTA, CREDIT, READ, FORGET),
)
