-- Takes a flight, one execution that identical calls share, or finds out which task has it.
--
-- KEYS  1 flight
-- ARGV  1 id of the task that would have it  2 how long it is held, in ms
-- Returns the id of the task that has it now
--
-- Invariant: a flight belongs to one task at a time, and nobody who wants it has to wait longer than the
-- holder asked for. Nothing is prolonged for a task that does not have it.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
