-- Takes a node out of service: nothing more is placed on it or claimed by it, and its inbox goes back.
-- Tasks that it runs go on. resume.lua undoes it.
--
-- KEYS  1 nodes  2 node  3 inbox  4 waiting  5 events
-- ARGV  1 name  2 prefix of our keys  3 how many entries at most in this call  4 how many bytes of them
--       5 'draining' for an operator, 'stopping' for the node itself
-- Returns {how many went back, how many are left}, or {-1, 0} if there is no such node.
--
-- Invariant 1: an entry leaves the inbox and is back on its home in this script. Invariant 5: the newest
-- is given back first, each to the front of its home, so that they stand in their old order.
--
-- include: add_event, give_back_inbox, now_ms, ring_all

if redis.call('EXISTS', KEYS[2]) == 0 then return {-1, 0} end
if redis.call('HGET', KEYS[2], 'state') == 'up' then
  redis.call('HSET', KEYS[2], 'state', ARGV[5])
  add_event(KEYS[5], 'drained', ARGV[1], redis.call('ZCARD', KEYS[3]))
end

local moved = give_back_inbox(KEYS[3], tonumber(ARGV[3]), tonumber(ARGV[4]), KEYS[4], ARGV[2], now_ms())
if moved > 0 then ring_all(KEYS[1], ARGV[2]) end
return {moved, redis.call('ZCARD', KEYS[3])}
