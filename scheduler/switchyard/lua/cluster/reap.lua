-- Fences a node and gives everything that it had back, a step at a time: claims first in line, then its inbox.
--
-- KEYS  1 nodes  2 node  3 inbox  4 claims  5 bell  6 lost  7 waiting  8 deaths  9 dead  10 events
--       11 unannounced  12 counters  13 order of its claims  14 unfinished
-- ARGV  1 name  2 epoch to fence, or '' for whichever, if its lease ran out
--       3 'lost' or 'left'; who goes on with it keeps to how it began  4 prefix of our keys
--       5 how many entries and 6 how many bytes of them at most in this call, an entry more than the bytes
--       7 max deliveries  8 how long to remember in ms  9 who reaps; '' does not leave it to another
--       10 for how many ms it is left to one who reaps already
-- Returns {how many went back, how many were given up, 1 if more is left}; {-1, 0, 0} if the lease is alive,
--         {-2, 0, 1} if another reaps it.
--
-- Invariant 1: an entry leaves the node and is back on its home in this script. Invariant 3: the epoch goes
-- first, so nothing that the node sends from then on changes the cluster. Invariant 5: the newest is given
-- back first, each to the front of its home, so that they stand in their old order. Invariants 6 and 8.
-- The name stays in "unfinished" until its last step: a reaper may die between two of them.
--
-- include: add_event, count_return, death_line, deaths_in, give_back, give_back_inbox, give_up, home_and_message
-- include: is_acknowledged, is_ahead, keep_deaths, newest_claims, now_ms, queues_of, ring_all
-- names: IDLE, ORPHANS

local nodes, node, inbox, claims, bell, lost_nodes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local waiting, deaths, dead, events, unannounced, counters = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local order, unfinished = KEYS[13], KEYS[14]
local name, how, prefix, most, bytes = ARGV[1], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local max_deliveries, remember, reaper, patience = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local now = now_ms()

local epoch = redis.call('HGET', node, 'epoch')
if epoch then
  local deadline = tonumber(redis.call('ZSCORE', nodes, name) or 0)
  local alive = deadline >= now and not is_ahead(deadline, redis.call('HGET', node, 'lease'), now)
  if ARGV[2] ~= epoch and (ARGV[2] ~= '' or alive) then
    redis.call('SREM', unfinished, name)
    return {-1, 0, 0}
  end
  for _, queue in ipairs(queues_of(node)) do
    redis.call('SREM', prefix .. IDLE .. queue, name)
  end
  redis.call('HDEL', node, 'epoch')
  redis.call('HSET', node, 'fenced', epoch, 'ended', how)
  redis.call('ZREM', nodes, name)
  if how == 'lost' then
    redis.call('ZADD', lost_nodes, now, name)
    add_event(events, 'lost', name, redis.call('HLEN', claims) + redis.call('ZCARD', inbox))
  else
    add_event(events, 'left', name, 0)
  end
end

local said = redis.call('HMGET', node, 'ended', 'fenced', 'running', 'known', 'reaper', 'reaped at')
if reaper ~= '' then
  local before = now - tonumber(said[6] or 0)
  if said[5] and said[5] ~= reaper and before >= 0 and before < patience then return {-2, 0, 1} end
  redis.call('HSET', node, 'reaper', reaper, 'reaped at', now)
end
local lost = (said[1] or how) == 'lost'
local orphans, known, running = prefix .. ORPHANS .. (said[2] or ''), tonumber(said[4]), {}
for receipt in string.gmatch(said[3] or '', '%S+') do running[receipt] = true end

-- Counts a death of a claim, unless its node only left; whether it was given up for it.
local function dies(receipt, entry, message)
  local line = lost and death_line(name, receipt, message, running, known, now) or ''
  if lost and line == '' then return false end
  local digest = redis.sha1hex(entry)
  if not lost then
    redis.call('HSET', deaths, digest, count_return(redis.call('HGET', deaths, digest) or ''))
    return false
  end
  local lines = (redis.call('HGET', deaths, digest) or '') .. line
  if deaths_in(lines) < max_deliveries then
    redis.call('HSET', deaths, digest, lines)
    return false
  end
  give_up(dead, unannounced, events, counters, prefix, receipt, entry, lines, name, now)
  redis.call('HDEL', deaths, digest)
  return true
end

local moved, left = give_back_inbox(inbox, most, bytes, waiting, prefix, now)
local given_up = 0
local receipts = moved < most and left > 0 and newest_claims(node, claims, order, most - moved, left) or {}
for _, receipt in ipairs(receipts) do
  if moved + given_up >= most or left <= 0 then break end
  local entry = redis.call('HGET', claims, receipt)
  if entry and is_acknowledged(entry) then
    redis.call('HDEL', claims, receipt)
  elseif entry then
    local home, message = home_and_message(entry)
    if dies(receipt, entry, message) then
      given_up = given_up + 1
    else
      give_back('RPUSH', home, message, waiting, prefix, now)
      redis.call('HSET', orphans, receipt, entry)
      moved = moved + 1
    end
    redis.call('HDEL', claims, receipt)
    left = left - #entry
  end
  redis.call('ZREM', order, receipt)
end
if #receipts > 0 then
  redis.call('PEXPIRE', orphans, remember)
  keep_deaths(deaths)
end

if moved > 0 then
  if lost then
    add_event(events, 'restored', name, moved)
    redis.call('HINCRBY', counters, 'restored', moved)
  end
  ring_all(nodes, prefix)
end
if redis.call('EXISTS', inbox, claims) > 0 then
  redis.call('SADD', unfinished, name)
  return {moved, given_up, 1}
end
redis.call('DEL', bell, order)
redis.call('SREM', unfinished, name)
if lost then
  redis.call('PEXPIRE', node, remember)
else
  redis.call('DEL', node)
  redis.call('ZREM', lost_nodes, name)
end
redis.call('ZREMRANGEBYSCORE', lost_nodes, '-inf', now - remember)
return {moved, given_up, 0}
