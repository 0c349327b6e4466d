-- A node's heartbeat: prolongs its lease, tells the cluster its load, and learns what it must know.
--
-- KEYS  1 nodes  2 node  3 queues  4 waiting  5 unannounced  6 watch
-- ARGV  1 name  2 epoch  3 lease in ms  4 silence of the whole cluster in ms that counts as an outage
--       5 how many queues, then the queues, then field, value ... for the node's hash
-- Returns {'fenced'}, or
--         {'ok', state, {names of nodes to reap}, {wait list keys},
--          {receipts given up on that nobody announced yet}}
--
-- Invariant 3: a node whose epoch is gone can't prolong its lease. Invariant 6: deadlines use TIME.
-- After an outage of the server every lease looks expired, and whoever reaped then would declare the whole
-- cluster dead. So nobody is to be reaped before some node or other has renewed without a gap for a lease.
--
-- include: describe_node, now_ms

local nodes, node, name = KEYS[1], KEYS[2], ARGV[1]
if redis.call('HGET', node, 'epoch') ~= ARGV[2] then return {'fenced'} end

local now = now_ms()
redis.call('ZADD', nodes, now + tonumber(ARGV[3]), name)
describe_node(node, KEYS[3], ARGV, 5)

local watch = redis.call('HMGET', KEYS[6], 'since', 'last')
local since = tonumber(watch[1])
if not since or now - tonumber(watch[2]) > tonumber(ARGV[4]) then since = now end
redis.call('HSET', KEYS[6], 'since', since, 'last', now)
local overdue = {}
if now - since >= tonumber(ARGV[3]) then
  overdue = redis.call('ZRANGEBYSCORE', nodes, '-inf', now - 1, 'LIMIT', 0, 10)
end

local waiting = {}
for _, key in ipairs(redis.call('ZREVRANGE', KEYS[4], 0, 499)) do
  if redis.call('EXISTS', key) == 1 then
    waiting[#waiting + 1] = key
  elseif now - tonumber(redis.call('ZSCORE', KEYS[4], key)) > 60000 then
    redis.call('ZREM', KEYS[4], key)
  end
end
return {'ok', redis.call('HGET', node, 'state'), overdue, waiting,
  redis.call('SRANDMEMBER', KEYS[5], 20)}
