"""Admission: a generation greeted, a request tried against all its rules, a hold made larger."""

from policies.stores.scripts.lua import AFFORD, PRELUDE, TICKETS, script

GREET = script(
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

ADMIT = script(
    PRELUDE,
    AFFORD,
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

EXTEND = script(
    PRELUDE,
    TICKETS,
    AFFORD,
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
