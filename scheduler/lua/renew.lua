-- A node's heartbeat: prolongs its lease, tells the cluster its load, and learns what it must know.
--
-- KEYS  1 nodes  2 node  3 queues  4 waiting  5 unannounced
-- ARGV  1 name  2 epoch  3 lease in ms  4 prefix of our keys
--       5 how many queues, then the queues, then field, value ... for the node's hash
-- Returns {'fenced'}, or
--         {'ok', now in ms, state, {names of nodes whose lease ran out}, {wait list keys},
--          {receipts given up on that nobody announced yet}}
--
-- Invariant 3: a node whose epoch is gone can't prolong its lease. Invariant 6: deadlines use TIME.

local nodes, node, name = KEYS[1], KEYS[2], ARGV[1]
if redis.call('HGET', node, 'epoch') ~= ARGV[2] then return {'fenced'} end

local now = now_ms()
redis.call('ZADD', nodes, now + tonumber(ARGV[3]), name)
local first = 6 + tonumber(ARGV[5])
for i = 6, first - 1 do redis.call('SADD', KEYS[3], ARGV[i]) end
for i = first, #ARGV, 2 do redis.call('HSET', node, ARGV[i], ARGV[i + 1]) end

local overdue = redis.call('ZRANGEBYSCORE', nodes, '-inf', now - 1, 'LIMIT', 0, 10)
local waiting = {}
for _, key in ipairs(redis.call('ZREVRANGE', KEYS[4], 0, 499)) do
  if redis.call('EXISTS', key) == 1 then
    waiting[#waiting + 1] = key
  elseif now - tonumber(redis.call('ZSCORE', KEYS[4], key)) > 60000 then
    redis.call('ZREM', KEYS[4], key)
  end
end
return {'ok', now, redis.call('HGET', node, 'state'), overdue, waiting,
  redis.call('SRANDMEMBER', KEYS[5], 20)}
