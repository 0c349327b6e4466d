-- Fences a node and gives everything that it had back: claims first in line, then its inbox.
--
-- KEYS  1 nodes  2 node  3 inbox  4 claims  5 bell  6 lost  7 waiting  8 deaths  9 dead  10 events
--       11 unannounced  12 counters
-- ARGV  1 name  2 epoch to fence, or '' for whichever, if its lease ran out
--       3 'lost' or 'left'  4 prefix of our keys  5 how many entries at most in this call
--       6 max deliveries  7 how long to remember in ms
-- Returns {how many went back, how many were given up, 1 if more is left}; {-1, 0, 0} if the lease is alive.
--
-- Invariant 1: an entry leaves the node and is back on its home in this script. Invariant 3: the epoch goes
-- first, so nothing that the node sends from then on changes the cluster. Invariant 5: the newest is given
-- back first, each to the front of its home, so that they stand in their old order. Invariant 6.
--
-- include: add_event, deaths_in, give_back, give_back_inbox, give_up, home_and_message, keep_deaths, now_ms
-- include: queues_of, ring_all
-- names: IDLE, ORPHANS

local nodes, node, inbox, claims, bell, lost_nodes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local waiting, deaths, dead, events, unannounced, counters = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local name, prefix, lost = ARGV[1], ARGV[4], ARGV[3] == 'lost'
local budget, max_deliveries, remember = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = now_ms()

local epoch = redis.call('HGET', node, 'epoch')
if epoch then
  local alive = tonumber(redis.call('ZSCORE', nodes, name) or 0) >= now
  if ARGV[2] ~= epoch and (ARGV[2] ~= '' or alive) then return {-1, 0, 0} end
  for _, queue in ipairs(queues_of(node)) do
    redis.call('SREM', prefix .. IDLE .. queue, name)
  end
  redis.call('HDEL', node, 'epoch')
  redis.call('HSET', node, 'fenced', epoch)
  redis.call('ZREM', nodes, name)
  if lost then
    redis.call('ZADD', lost_nodes, now, name)
    add_event(events, 'lost', name, redis.call('HLEN', claims) + redis.call('ZCARD', inbox))
  else
    add_event(events, 'left', name, 0)
  end
end

local moved, given_up = give_back_inbox(inbox, budget, waiting, prefix, now), 0

-- Counts a death of a claim, unless its node only left; whether it was given up for it.
local function dies(receipt, entry)
  if not lost then return false end
  local digest = redis.sha1hex(entry)
  local lines = (redis.call('HGET', deaths, digest) or '') .. name .. '\n'
  if deaths_in(lines) < max_deliveries then
    redis.call('HSET', deaths, digest, lines)
    return false
  end
  give_up(dead, unannounced, events, counters, prefix, receipt, entry, lines, name, now)
  redis.call('HDEL', deaths, digest)
  return true
end

local receipts = {}
if moved < budget then receipts = redis.call('HKEYS', claims) end
table.sort(receipts, function(a, b) return tonumber(a) > tonumber(b) end)
local orphans = prefix .. ORPHANS .. (redis.call('HGET', node, 'fenced') or '')
for i = 1, math.min(#receipts, budget - moved) do
  local receipt = receipts[i]
  local entry = redis.call('HGET', claims, receipt)
  if dies(receipt, entry) then
    given_up = given_up + 1
  else
    local home, message = home_and_message(entry)
    give_back('RPUSH', home, message, waiting, prefix, now)
    redis.call('HSET', orphans, receipt, entry)
    moved = moved + 1
  end
  redis.call('HDEL', claims, receipt)
end
if #receipts > 0 then
  redis.call('PEXPIRE', orphans, remember)
  if lost then keep_deaths(deaths) end
end

if moved > 0 then
  if lost then
    add_event(events, 'restored', name, moved)
    redis.call('HINCRBY', counters, 'restored', moved)
  end
  ring_all(nodes, prefix)
end
if redis.call('EXISTS', inbox, claims) > 0 then return {moved, given_up, 1} end
redis.call('DEL', bell)
if lost then
  redis.call('PEXPIRE', node, remember)
else
  redis.call('DEL', node)
  redis.call('ZREM', lost_nodes, name)
end
redis.call('ZREMRANGEBYSCORE', lost_nodes, '-inf', now - remember)
return {moved, given_up, 0}
