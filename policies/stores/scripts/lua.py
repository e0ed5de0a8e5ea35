"""Lua: what the scripts share, and how one is made and named. Refuses to be a script itself."""

import hashlib

from msgspec import Struct

from policies.stores.window import BUCKETS

PRELUDE = (
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
TICKETS = """
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
AFFORD = """
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


def script(*parts: str) -> Script:
    source = "".join(parts).encode()
    return Script(source, hashlib.sha1(source).hexdigest().encode())  # noqa: S324 - the name Redis gives it
