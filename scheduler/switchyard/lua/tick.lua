-- Goes in front of place: the message of a tick is placed once.
--
-- KEYS  those of place, then ticks
-- ARGV  those of place, then entry, instant of the tick in us, the one that it covers the entry through, how long
--       to keep the mark in us
-- Returns {-1, 0} if the entry's ticks were sent through this instant already, else what place returns.
--
-- The tick is marked if and only if its message is placed: no leader can die in between.

do
  local keep, through, instant = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
  local new = mark_new(table.remove(KEYS), {table.remove(ARGV)}, {instant}, {through}, keep)
  if not new[1] then return {-1, 0} end
end
