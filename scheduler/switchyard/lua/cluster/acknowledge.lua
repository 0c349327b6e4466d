-- Tasks of a node are acknowledged as they start (acks_late is off): from now on they are never given back. The
-- claims stay until the tasks have ended, since each of these takes a slot.
--
-- KEYS  1 node  2 claims  3 deaths
-- ARGV  1 epoch  2 ... receipts, 500 at most
-- Returns 1, or 0 for an epoch that is fenced.
--
-- Invariant 1: a message that is acknowledged is settled; what stays is an entry without a home, which goes nowhere.
-- Invariant 2: what runs counts as outstanding.
--
-- include: pack_entry

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
for i = 2, #ARGV do
  local entry = redis.call('HGET', KEYS[2], ARGV[i])
  if entry then
    redis.call('HDEL', KEYS[3], redis.sha1hex(entry))
    redis.call('HSET', KEYS[2], ARGV[i], pack_entry('', ''))
  end
end
return 1
