-- Sets a claimed message aside where it can be inspected: it can't be read, or its tasks can't be run.
--
-- KEYS  1 node  2 claims  3 dead  4 dead entry  5 events  6 counters
-- ARGV  1 name  2 epoch  3 receipt  4 reason
-- Returns 1, or 0 if the node no longer holds the claim.
--
-- Invariant 1: the claim goes and the dead entry is there in this script, or neither.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then return 0 end
local home, message = home_and_message(entry)
local now = now_ms()
redis.call('HSET', KEYS[4], 'home', home, 'message', message, 'deaths', 0, 'nodes', '', 'reason', ARGV[4], 'at', now)
redis.call('ZADD', KEYS[3], now, ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[3])
note(KEYS[5], 'given up', ARGV[1], 1)
redis.call('HINCRBY', KEYS[6], 'given up', 1)
return 1
