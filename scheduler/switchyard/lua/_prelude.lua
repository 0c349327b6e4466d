-- Shared by every script of this folder; state.py puts it in front of each.
--
-- An entry is what an inbox or a claim holds: the list that the message came from, its home, and the
-- message as kombu wrote it. It is "<length of home>:<home><message>", so that returning a task needs no
-- parsing of the message.

-- How long after the last death the counts are kept, in ms (one day).
local DEATHS_MS = 86400000

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Lua would write so large a number as 5.8e+13.
local function digits(number)
  return string.format('%.0f', number)
end

-- The first of `count` numbers (receipts, epochs) that were never given out before, also if the server has lost
-- its last writes, and the counter with them: none is behind its clock. 32 a ms are more than it can give out,
-- and leave a receipt 48 bits until the year 2248.
local function next_number(counter, count)
  local before, floor = redis.call('INCRBY', counter, count) - count, now_ms() * 32
  if before < floor then
    before = floor
    redis.call('SET', counter, digits(floor + count))
  end
  return before + 1
end

local function pack_entry(home, message)
  return #home .. ':' .. home .. message
end

local function home_and_message(entry)
  local colon = string.find(entry, ':', 1, true)
  local last = colon + tonumber(string.sub(entry, 1, colon - 1))
  return string.sub(entry, colon + 1, last), string.sub(entry, last + 1)
end

-- An inbox is ordered by priority step, then receipt: exact in a double up to step 31.
local function score(step, receipt)
  return tonumber(step) * 281474976710656 + receipt -- 2^48
end

-- An inbox member is "<receipt>:<entry>": the receipt keeps two equal messages apart.
local function receipt_and_entry(member)
  local colon = string.find(member, ':', 1, true)
  return string.sub(member, 1, colon - 1), string.sub(member, colon + 1)
end

-- The nodes that died holding an entry, or lost a pool process running it, are kept a line each.
local function deaths_in(lines)
  local _, count = string.gsub(lines or '', '\n', '')
  return count
end

-- A bell holds one token at most: it says "look", never "how many".
local function ring(bell)
  if redis.call('LLEN', bell) == 0 then
    redis.call('LPUSH', bell, '1')
  end
end

local function ring_all(nodes, prefix)
  for _, name in ipairs(redis.call('ZRANGE', nodes, 0, 999)) do
    ring(prefix .. 'bell:' .. name)
  end
end

-- The front of a kombu list is its right end. A wait list that gets work is noted, so that nodes find it.
local function give_back(side, home, message, waiting, prefix)
  redis.call(side, home, message)
  if string.sub(home, 1, #prefix) == prefix then
    redis.call('ZADD', waiting, now_ms(), home)
  end
end

local function note(events, kind, name, count)
  redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'kind', kind, 'node', name, 'count', count)
end

-- Too many died with this entry: it goes among the dead, and some node is to tell its callers.
local function give_up(dead, unannounced, events, prefix, receipt, entry, lines, name)
  local home, message = home_and_message(entry)
  local now, deaths = now_ms(), deaths_in(lines)
  redis.call('HSET', prefix .. 'dead:' .. receipt, 'home', home, 'message', message, 'deaths', deaths,
    'nodes', lines, 'reason', deaths .. ' nodes or pool processes died holding it', 'at', now)
  redis.call('ZADD', dead, now, receipt)
  redis.call('SADD', unannounced, receipt)
  note(events, 'given up', name, 1)
end

-- Which of these ticks are new, in this order? Of each periodic entry it is kept through which instant its ticks
-- were sent; none at or before that is new. Marks older than all of these ticks by `keep_us` go.
local function mark_new(ticks, entries, instants, throughs, keep_us)
  local new, latest, marks, oldest = {}, {}, {}, math.huge
  local known = redis.call('ZMSCORE', ticks, unpack(entries))
  for i, entry in ipairs(entries) do
    local instant = tonumber(instants[i])
    oldest = math.min(oldest, instant)
    new[i] = instant > (latest[entry] or tonumber(known[i] or 0))
    if new[i] then
      latest[entry] = tonumber(throughs[i])
      marks[#marks + 1], marks[#marks + 2] = throughs[i], entry
    end
  end
  if #marks > 0 then
    redis.call('ZADD', ticks, unpack(marks))
    redis.call('ZREMRANGEBYSCORE', ticks, 0, digits(oldest - tonumber(keep_us)))
  end
  return new
end
