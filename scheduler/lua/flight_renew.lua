-- Prolongs, or shortens, the flight that a task has.
--
-- KEYS  1 flight
-- ARGV  1 id of the task  2 how long it is held from now, in ms
-- Returns 1, or 0 if the task does not have it
--
-- Invariant: a flight that ran out, was ended, or is another's is never brought back.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
