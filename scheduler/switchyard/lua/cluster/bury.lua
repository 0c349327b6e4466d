-- Sets a claimed message aside where it can be inspected: it can't be read, or its tasks can't be run.
--
-- KEYS  1 node  2 claims  3 dead  4 events  5 counters  6 unannounced
-- ARGV  1 name  2 epoch  3 receipt  4 reason  5 prefix of our keys  6 '1' if some node is to tell its callers
-- Returns 1, or 0 if the node no longer holds the claim.
--
-- Invariant 1: the claim goes and the dead entry is there in this script, or neither.
--
-- include: bury_entry, is_acknowledged, now_ms

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return 0 end
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then return 0 end
if is_acknowledged(entry) then
  redis.call('HDEL', KEYS[2], ARGV[3])
  return 0
end
bury_entry(KEYS[3], KEYS[4], KEYS[5], ARGV[5], ARGV[3], entry, '', ARGV[4], ARGV[1], now_ms())
redis.call('HDEL', KEYS[2], ARGV[3])
if ARGV[6] == '1' then redis.call('SADD', KEYS[6], ARGV[3]) end
return 1
