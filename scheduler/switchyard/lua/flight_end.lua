-- Ends a flight.
--
-- KEYS  1 flight
-- ARGV  1 record as it must be
-- Returns 1, or 0 if the record is another by now
--
-- Invariant: nobody ends another's flight.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
