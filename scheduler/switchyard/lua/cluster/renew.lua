-- A node's heartbeat: prolongs its lease, tells the cluster its load, and learns what it must know.
--
-- KEYS  1 nodes  2 node  3 queues  4 waiting  5 unannounced  6 watch  7 unfinished  8 claims
-- ARGV  1 name  2 epoch  3 lease in ms  4 silence of the whole cluster in ms that counts as an outage
--       5 prefix of our keys  6 now in ms as the last heartbeat had it  7 cursor of the scan through the wait lists
--       8 how many of these at most  9 how many queues, then the queues, then field, value ... for the node's hash
-- Returns {'fenced'}, or
--         {'ok', state, {names of nodes to reap}, {wait list keys, some perhaps twice},
--          {receipts given up on that nobody announced yet}, now in ms, next cursor of the scan or '0',
--          how many claims the node holds}
--
-- Invariant 3: a node whose epoch is gone can't prolong its lease. Invariant 6: deadlines use TIME.
-- After an outage of the server every lease looks expired, and whoever reaped then would declare the whole
-- cluster dead. So nobody is to be reaped before some node or other has renewed without a gap for a lease.
--
-- include: describe_node, now_ms, overdue_nodes, wait_lists_within, watched_since

local nodes, node, waiting, prefix, lease = KEYS[1], KEYS[2], KEYS[4], ARGV[5], tonumber(ARGV[3])
if redis.call('HGET', node, 'epoch') ~= ARGV[2] then return {'fenced'} end

local now = now_ms()
redis.call('ZADD', nodes, now + lease, ARGV[1])
describe_node(node, KEYS[3], ARGV, 9)

local overdue = {}
if now - watched_since(KEYS[6], tonumber(ARGV[4]), now) >= lease then
  overdue = overdue_nodes(nodes, prefix, lease, now)
end
for _, name in ipairs(redis.call('SRANDMEMBER', KEYS[7], 10)) do overdue[#overdue + 1] = name end

local found, cursor = wait_lists_within(waiting, math.min(tonumber(ARGV[6]), now), ARGV[7], ARGV[8], now)
return {'ok', redis.call('HGET', node, 'state'), overdue, found, redis.call('SRANDMEMBER', KEYS[5], 20), now,
  cursor, redis.call('HLEN', KEYS[8])}
