-- Takes one task that was given up on out of the dead: back to the end of its home, or away for good.
--
-- KEYS  1 dead  2 dead entry  3 unannounced  4 waiting  5 nodes
-- ARGV  1 receipt  2 'requeue' or 'discard'  3 prefix of our keys
-- Returns 1, or 0 if there is no such task among the dead, or nothing to requeue in its entry.
--
-- Invariant 1: the dead entry goes and the message is on its home in this script, or neither.
--
-- include: give_back, now_ms, ring_all

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if ARGV[2] == 'requeue' then
  local entry = redis.call('HMGET', KEYS[2], 'home', 'message')
  if not entry[1] or not entry[2] then return 0 end
  give_back('LPUSH', entry[1], entry[2], KEYS[4], ARGV[3], now_ms())
  ring_all(KEYS[5], ARGV[3])
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
