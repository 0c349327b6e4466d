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

local nodes, node, inbox, claims, name, prefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[4]
local lost = ARGV[3] == 'lost'
local budget, remember = tonumber(ARGV[5]), tonumber(ARGV[7])
local now = now_ms()

local epoch = redis.call('HGET', node, 'epoch')
if epoch then
  local alive = tonumber(redis.call('ZSCORE', nodes, name) or 0) >= now
  if ARGV[2] ~= epoch and (ARGV[2] ~= '' or alive) then return {-1, 0, 0} end
  for _, queue in ipairs(cjson.decode(redis.call('HGET', node, 'queues') or '[]')) do
    redis.call('SREM', prefix .. 'idle:' .. queue, name)
  end
  redis.call('HDEL', node, 'epoch')
  redis.call('HSET', node, 'fenced', epoch)
  redis.call('ZREM', nodes, name)
  if lost then
    redis.call('ZADD', KEYS[6], now, name)
    note(KEYS[10], 'lost', name, redis.call('HLEN', claims) + redis.call('ZCARD', inbox))
  else
    note(KEYS[10], 'left', name, 0)
  end
end

local moved, given_up = 0, 0
for _, member in ipairs(redis.call('ZREVRANGE', inbox, 0, budget - 1)) do
  local _, entry = receipt_and_entry(member)
  local home, message = home_and_message(entry)
  give_back('RPUSH', home, message, KEYS[7], prefix)
  redis.call('ZREM', inbox, member)
  moved = moved + 1
end

local receipts = {}
if moved < budget then receipts = redis.call('HKEYS', claims) end
table.sort(receipts, function(a, b) return tonumber(a) > tonumber(b) end)
local orphans = prefix .. 'orphans:' .. (redis.call('HGET', node, 'fenced') or '')
for i = 1, math.min(#receipts, budget - moved) do
  local receipt = receipts[i]
  local entry = redis.call('HGET', claims, receipt)
  local digest = redis.sha1hex(entry)
  local lines = lost and (redis.call('HGET', KEYS[8], digest) or '') .. name .. '\n' or ''
  if lost then redis.call('HSET', KEYS[8], digest, lines) end
  if lost and deaths_in(lines) >= tonumber(ARGV[6]) then
    give_up(KEYS[9], KEYS[11], KEYS[10], prefix, receipt, entry, lines, name)
    redis.call('HDEL', KEYS[8], digest)
    given_up = given_up + 1
  else
    local home, message = home_and_message(entry)
    give_back('RPUSH', home, message, KEYS[7], prefix)
    redis.call('HSET', orphans, receipt, entry)
    moved = moved + 1
  end
  redis.call('HDEL', claims, receipt)
end
if #receipts > 0 then
  redis.call('PEXPIRE', orphans, remember)
  if lost then redis.call('PEXPIRE', KEYS[8], DEATHS_MS) end
end
if given_up > 0 then redis.call('HINCRBY', KEYS[12], 'given up', given_up) end

if moved > 0 then
  if lost then
    note(KEYS[10], 'restored', name, moved)
    redis.call('HINCRBY', KEYS[12], 'restored', moved)
  end
  ring_all(nodes, prefix)
end
if redis.call('EXISTS', inbox, claims) > 0 then return {moved, given_up, 1} end
redis.call('DEL', KEYS[5])
if lost then
  redis.call('PEXPIRE', node, remember)
else
  redis.call('DEL', node)
  redis.call('ZREM', KEYS[6], name)
end
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now - remember)
return {moved, given_up, 0}
