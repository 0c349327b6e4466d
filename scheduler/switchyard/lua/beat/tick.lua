-- Places the message of each tick once, as place does.
--
-- KEYS  those of place, then ticks
-- ARGV  those of place, which end with the messages, then of each message's tick entry, instant and the instant
--       that it covers the entry through in us, then how long to keep the marks in us, how many messages
-- Returns what place returns for the messages of ticks that were not sent already, or -1, 0, 0 if all were, and then
-- {numbers of the ticks, from 1 on, that were}.
--
-- A tick is marked if and only if its message is placed: no leader can die in between.
--
-- include: mark_new, place_messages

local count, keep = tonumber(ARGV[#ARGV]), ARGV[#ARGV - 1]
local ticks = #ARGV - 1 - 3 * count
local entries, instants, throughs = {}, {}, {}
for i = 1, count do
  local at = ticks + (i - 1) * 3
  entries[i], instants[i], throughs[i] = ARGV[at], ARGV[at + 1], ARGV[at + 2]
end

local messages, refused = {}, {}
for i, new in ipairs(mark_new(KEYS[#KEYS], entries, instants, throughs, keep)) do
  if new then messages[#messages + 1] = ARGV[ticks - count - 1 + i] else refused[#refused + 1] = i end
end
local placed = #messages > 0 and place_messages(KEYS, ARGV, messages) or {-1, 0, 0}
placed[4] = refused
return placed
