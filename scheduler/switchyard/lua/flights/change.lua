-- Changes the record of a flight, or only how long it is held.
--
-- KEYS  1 flight
-- ARGV  1 record as it must be  2 new record  3 how long it is held from now, in ms
-- Returns 1, or 0 if the record is another by now
--
-- Invariant: a flight that ran out, was ended, or is another task's is never brought back.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
