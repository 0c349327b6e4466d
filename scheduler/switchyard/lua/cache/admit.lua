-- The first thing said on every connection, and a look at the server later: which life it is in.
--
-- KEYS  1 life  2 whole  3 missed
-- ARGV  1 id of a life that must end, or ''  2 how long "whole" is remembered without being asked for, in ms
-- Returns {life, 1 if the server was given all that it owns in this life, now in ms}
--
-- A server that restarted starts a new life, whatever it kept on disk: it cannot know what it missed,
-- nor which of its notes were dropped since they were saved.
--
-- include: begin_life, digits, now_us, run_digits

local life = redis.call('GET', KEYS[1])
if not life or string.sub(life, 1, 9) ~= run_digits() or string.sub(life, 1, 20) == ARGV[1] then
  life = begin_life(KEYS[1], life)
  redis.call('DEL', KEYS[3])
end
local whole = 0
if redis.call('GET', KEYS[2]) == string.sub(life, 1, 20) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  whole = 1
end
return {life, whole, digits(math.floor(now_us() / 1000))}
