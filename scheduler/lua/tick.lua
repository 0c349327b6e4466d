-- Goes in front of place: the message of a tick is placed once.
--
-- KEYS  those of place, then ticks
-- ARGV  those of place, then entry, instant of the tick in us, how long to keep the mark in us
-- Returns {-1, 0} if this instant of the entry, or a later one, was sent already, else what place returns.
--
-- The tick is marked if and only if its message is placed: no leader can die in between.

do
  local keep, instant, entry = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
  if not mark_new(table.remove(KEYS), {entry}, {instant}, keep)[1] then return {-1, 0} end
end
