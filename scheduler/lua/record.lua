-- Records in RedBeat's storage that ticks were sent: each entry's last run, and when it is due next.
--
-- KEYS  1 RedBeat's schedule, then the entries
-- ARGV  for each entry: the instant through which its ticks were sent in us, RedBeat's meta, when it is due next
--       in s (below zero: never)
-- Returns how many entries moved.
--
-- An entry only moves forward, so that a leader that slept cannot take back what its successor did, and one
-- that was deleted meanwhile stays deleted.

local moved = 0
for i = 2, #KEYS do
  local at, entry = (i - 2) * 3, KEYS[i]
  local through = tonumber(redis.call('HGET', entry, 'through') or 0)
  if redis.call('EXISTS', entry) == 1 and through < tonumber(ARGV[at + 1]) then
    redis.call('HSET', entry, 'through', ARGV[at + 1], 'meta', ARGV[at + 2])
    redis.call('ZADD', KEYS[1], ARGV[at + 3], entry)
    moved = moved + 1
  end
end
return moved
