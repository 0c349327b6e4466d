-- Ends a flight.
--
-- KEYS  1 flight
-- ARGV  1 record as it must be
-- Returns 1, or 0 if the record is another by now
--
-- Invariant: nobody ends another's flight.
--
-- include: delete_if_equal

return delete_if_equal(KEYS[1], ARGV[1])
