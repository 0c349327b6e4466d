-- Something happened that operators should be able to see.
--
-- KEYS  1 events
-- ARGV  1 kind  2 node  3 count
-- Returns 1.
--
-- include: add_event

add_event(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1
