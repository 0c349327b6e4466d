-- Notes at a server that took a write which server did not.
--
-- KEYS  1 missed
-- ARGV  1 server that missed it  2 key  3 the write's version  4 id of the last life known of that server
--       5 notes that are kept at most  6 how long they are of use, in ms
-- Returns 1 if the key was noted, 0 if that server must start afresh because there are too many.
--
-- No server that missed a write is trusted before it was given what it missed: see healing.py.

local room = redis.call('HLEN', KEYS[1]) < tonumber(ARGV[5])
if room then
  redis.call('HSET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], ARGV[3])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return room and 1 or 0
