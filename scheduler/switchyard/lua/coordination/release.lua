-- An owner gives its grant back, and its place in the line unless it means to ask again.
--
-- KEYS  1 grant  2 line  3 waiters
-- ARGV  1 owner  2 place to keep in the line, or 0  3 for how many ms  4 prefix of our keys
-- Returns 1, or 0 if the owner held no grant here.
--
-- Nobody else's grant is touched. The first in the line is told.
--
-- include: keep_place, leave_line, now_ms, ring
-- names: TURN

local grant, line, waiters, owner = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local held = redis.call('HGET', grant, 'owner') == owner
if held then redis.call('DEL', grant) end

local place, keep = tonumber(ARGV[2]), tonumber(ARGV[3])
if place > 0 then
  keep_place(line, waiters, owner, ARGV[2], keep, now_ms())
elseif redis.call('EXISTS', line) == 1 then
  leave_line(line, waiters, owner)
end

local first = redis.call('ZRANGE', line, 0, 0)[1]
if first and first ~= owner and redis.call('EXISTS', grant) == 0 then
  local bell = ARGV[4] .. TURN .. first
  ring(bell)
  redis.call('PEXPIRE', bell, 1000)
end
return held and 1 or 0
