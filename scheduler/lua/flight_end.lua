-- Ends the flight that a task has.
--
-- KEYS  1 flight
-- ARGV  1 id of the task
-- Returns 1, or 0 if the task does not have it
--
-- Invariant: nobody ends another's flight.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
