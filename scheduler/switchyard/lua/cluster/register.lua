-- A process joins the cluster as a node, or finds out why it can't.
--
-- KEYS  1 nodes  2 node  3 inbox  4 claims  5 epoch  6 lost  7 queues  8 events  9 layout
-- ARGV  1 name  2 incarnation  3 lease in ms  4 incarnation known to be dead, or ''
--       5 our layout  6 how many queues, then the queues, then field, value ... for the node's hash
-- Returns {'new', epoch}      the node has a fresh epoch
--         {'kept', epoch}     the same incarnation came back in time and keeps its claims
--         {'held', ms left, hostname, pid}  another incarnation's lease is alive
--         {'layout', number}  the cluster has another layout
--         {'reap', epoch}     the name is free, but what its former owner held must be reaped first
--
-- Invariant 3: an epoch is given out once, and never while another lease on the name is alive.
--
-- include: add_event, describe_node, digits, layout_of, is_ahead, next_number, now_ms

local layout = layout_of(KEYS[9], KEYS[5], ARGV[5])
if layout ~= ARGV[5] then return {'layout', layout} end

local nodes, node, name, incarnation = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local now = now_ms()
local held = redis.call('HMGET', node, 'epoch', 'incarnation', 'hostname', 'pid', 'lease')
local epoch, holder = held[1], held[2]

local deadline = tonumber(redis.call('ZSCORE', nodes, name) or 0)
local alive = deadline > now and not is_ahead(deadline, held[5], now)
if epoch and holder ~= incarnation and alive and holder ~= ARGV[4] then
  return {'held', deadline - now, held[3] or '', held[4] or ''}
end
if epoch and holder ~= incarnation then
  return {'reap', epoch}
end
if not epoch and (redis.call('EXISTS', KEYS[3], KEYS[4]) > 0) then
  return {'reap', ''}
end

local answer = 'kept'
if not epoch then
  answer, epoch = 'new', digits(next_number(KEYS[5], 1, now))
  add_event(KEYS[8], 'up', name, 0)
end
-- An operator's drain outlives a crash; that of a node which was stopping does not.
local state = redis.call('HGET', node, 'state')
if state ~= 'draining' then state = 'up' end
redis.call('HSET', node, 'epoch', epoch, 'incarnation', incarnation, 'state', state)
describe_node(node, KEYS[7], ARGV, 6)
redis.call('PERSIST', node)
redis.call('ZREM', KEYS[6], name)
redis.call('ZADD', nodes, now + tonumber(ARGV[3]), name)
return {answer, epoch}
