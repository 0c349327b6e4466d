-- Marks a tick as sent, for a message that kombu itself puts where it belongs.
--
-- KEYS  1 ticks
-- ARGV  1 entry  2 instant of the tick in us  3 how long to keep the mark in us
-- Returns 1, or 0 if this instant of the entry, or a later one, was sent already.

return mark_new(KEYS[1], {ARGV[1]}, {ARGV[2]}, ARGV[3])[1] and 1 or 0
