-- Drops notes that were acted on, but not those that changed since.
--
-- KEYS  1 missed
-- ARGV  field, value of each note
-- Returns how many were dropped.

local dropped = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return dropped
