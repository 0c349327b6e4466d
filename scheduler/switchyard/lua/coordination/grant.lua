-- One server's vote on a lock or a leadership: granted, or a place in the line.
--
-- KEYS  1 grant  2 line  3 waiters  4 number  5 memory
-- ARGV  1 owner  2 ttl in ms  3 place that the owner has in other servers' lines, or 0
--       4 for how many ms the place is kept unless the owner asks again; 0: it does not wait
--       5 '1' if other servers vote as well
-- Returns {1, token, '1' or '0': whether this server would remember a grant made a ttl ago}, or
--         {0, place in the line or '0', ms until the present grant ends}
--
-- There is one owner at a time, and a free lock goes to the first in the line only. Asking twice is asking
-- once. Numbers grow even where the server forgot the last one: they are never behind its clock. That clock may
-- step: times that are further ahead than they can be do not count (invariant 6).
--
-- include: digits, keep_place, leave_line, now_us

local grant, line, waiters, owner = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local ttl = tonumber(ARGV[2])
local clock = now_us()
local now = math.floor(clock / 1000)

-- Fences its owner, as the token of a grant or as a place in the line.
local function next_fence()
  local last = tonumber(redis.call('GET', KEYS[4]) or 0)
  local fence = digits(math.max(last + 1, clock))
  redis.call('SET', KEYS[4], fence)
  return fence
end

-- A server that was restarted may have come back without its last writes, or without any.
local function remembers()
  if ARGV[5] ~= '1' then return '1' end
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local known = redis.call('HMGET', KEYS[5], 'run', 'since')
  if known[1] ~= run or tonumber(known[2]) > now then
    redis.call('HSET', KEYS[5], 'run', run, 'since', now)
    return '0'
  end
  return now - tonumber(known[2]) >= ttl and '1' or '0'
end

local function forget_who_left()
  local ahead = '(' .. (now + 2 * math.max(ttl, tonumber(ARGV[4])))
  for _, range in ipairs({{'-inf', now - 1}, {ahead, '+inf'}}) do
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', waiters, range[1], range[2], 'LIMIT', 0, 100)) do
      leave_line(line, waiters, gone)
    end
  end
end

-- How long the present grant lasts, in ms. One that lasts longer than its ttl does so because the clock was set back:
-- it is given one ttl from now, in which its holder renews it if there is still one.
local function time_left()
  local left, own = math.max(redis.call('PTTL', grant), 0), tonumber(redis.call('HGET', grant, 'ttl'))
  if not own or left <= own then return left end
  redis.call('PEXPIRE', grant, own)
  return own
end

local holder = redis.call('HGET', grant, 'owner')
local waiting = redis.call('EXISTS', line) == 1
if waiting then forget_who_left() end

if not holder or holder == owner then
  local first = waiting and redis.call('ZRANGE', line, 0, 0)[1]
  if holder or not first or first == owner then
    local token = holder and redis.call('HGET', grant, 'token') or next_fence()
    if first then
      leave_line(line, waiters, owner)
    end
    redis.call('HSET', grant, 'owner', owner, 'token', token, 'ttl', ttl)
    redis.call('PEXPIRE', grant, ttl)
    return {1, token, remembers()}
  end
end

local left = time_left()
local keep = tonumber(ARGV[4])
if keep == 0 then return {0, '0', left} end
local mine = tonumber(redis.call('ZSCORE', line, owner) or 0)
local place = math.max(mine, tonumber(ARGV[3]))
place = place == 0 and next_fence() or digits(place)
keep_place(line, waiters, owner, place, keep, now)
return {0, place, left}
