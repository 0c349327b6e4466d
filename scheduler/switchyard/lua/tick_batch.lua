-- Goes in front of place_batch: the message of each tick is placed once.
--
-- KEYS  those of place_batch, then ticks
-- ARGV  those of place_batch, which end with the messages, then of each message's tick entry, instant and the
--       instant that it covers the entry through in us, then how long to keep the marks in us, how many messages
-- Returns what place_batch returns for the messages of ticks that were not sent already.
--
-- A tick is marked if and only if its message is placed: no leader can die in between.

do
  local count, keep = tonumber(table.remove(ARGV)), table.remove(ARGV)
  local entries, instants, throughs, messages = {}, {}, {}, {}
  for i = count, 1, -1 do
    throughs[i], instants[i], entries[i] = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
  end
  for i = count, 1, -1 do
    messages[i] = table.remove(ARGV)
  end
  for i, new in ipairs(mark_new(table.remove(KEYS), entries, instants, throughs, keep)) do
    if new then ARGV[#ARGV + 1] = messages[i] end
  end
end
