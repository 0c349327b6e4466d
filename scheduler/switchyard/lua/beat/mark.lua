-- Marks a tick as sent, for a message that kombu itself puts where it belongs.
--
-- KEYS  1 ticks
-- ARGV  1 entry  2 instant of the tick in us  3 the one that it covers the entry through  4 how long to keep the
--       mark in us
-- Returns 1, or 0 if the entry's ticks were sent through this instant already.
--
-- include: mark_new

return mark_new(KEYS[1], {ARGV[1]}, {ARGV[2]}, {ARGV[3]}, ARGV[4])[1] and 1 or 0
