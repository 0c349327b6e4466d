-- Puts one message where it will run soonest: the inbox of the first candidate that may take it, else its
-- home, the shared queue or a wait list, where whichever node is free first claims it.
--
-- KEYS  1 nodes  2 home  3 idle set of the queue  4 seq  5 waiting  6 queues  7 counters
--       then the lists whose tasks go before this one, then node, inbox, claims, bell of each candidate
-- ARGV  1 message  2 priority step  3 '1' if bounded by the nodes' limits  4 prefix of our keys  5 queue
--       6 how many lists go before  7 strategy to count it under, then the candidates' names
-- Returns {number of the candidate that got it, its outstanding now}, or {0, 0} for its home.
--
-- Invariant 1: the message is written once, to one place. Invariant 2: a bounded placement leaves no node
-- with outstanding > limit. Invariant 5: nothing overtakes what waits on the lists before it.

local nodes, home, message, prefix = KEYS[1], KEYS[2], ARGV[1], ARGV[4]
local bounded = ARGV[3] == '1'
local ahead = tonumber(ARGV[6])
local candidates = #ARGV - 7

if bounded then
  for i = 8, 7 + ahead do
    if redis.call('LLEN', KEYS[i]) > 0 then
      candidates = 0
      break
    end
  end
end

local now = now_ms()
for i = 1, candidates do
  local key = 7 + ahead + (i - 1) * 4
  local node, inbox, claims, bell = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
  local held = redis.call('HMGET', node, 'epoch', 'state', 'limit')
  local deadline = tonumber(redis.call('ZSCORE', nodes, ARGV[7 + i]) or 0)
  if held[1] and held[2] == 'up' and deadline > now then
    local outstanding = redis.call('ZCARD', inbox) + redis.call('HLEN', claims)
    if not bounded or outstanding < tonumber(held[3]) then
      local receipt = next_number(KEYS[4], 1)
      redis.call('ZADD', inbox, score(ARGV[2], receipt), digits(receipt) .. ':' .. pack_entry(home, message))
      redis.call('HINCRBY', node, 'placed:' .. ARGV[7], 1)
      ring(bell)
      return {i, outstanding + 1}
    end
  end
end

give_back('LPUSH', home, message, KEYS[5], prefix)
redis.call('SADD', KEYS[6], ARGV[5])
redis.call('HINCRBY', KEYS[7], 'overflowed:' .. ARGV[7], 1)
for _ = 1, 4 do
  local name = redis.call('SPOP', KEYS[3])
  if not name then break end
  local up = redis.call('HGET', prefix .. 'node:' .. name, 'state') == 'up'
  if up and tonumber(redis.call('ZSCORE', nodes, name) or 0) > now then
    ring(prefix .. 'bell:' .. name)
    break
  end
end
return {0, 0}
