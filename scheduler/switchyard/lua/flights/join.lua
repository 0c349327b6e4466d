-- Takes the flight of a key, one execution that identical calls share, or finds out which task has it.
--
-- KEYS  1 flight
-- ARGV  1 record of the task that would have it, as publishing  2 how long it is held, in ms
-- Returns the record of the task that has it now: "publishing:<task id>", "waiting:..." or "running:..."
--
-- Invariant: a flight belongs to one task at a time, and ends by itself if its task never says a word.
--
-- include: hold_at_most

local holder = redis.call('GET', KEYS[1])
if holder then
  hold_at_most(KEYS[1], holder, ARGV[2])
  return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
