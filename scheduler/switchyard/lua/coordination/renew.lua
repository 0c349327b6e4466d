-- A holder prolongs its grant, and this server keeps its token in mind.
--
-- KEYS  1 grant  2 number
-- ARGV  1 owner  2 ttl in ms  3 token  4 '1' if other servers vote as well
-- Returns 1, or 0 if this server had not granted it to the owner, or not any more.
--
-- Nobody else's grant is touched. A server of several that holds none, such as one that was down, takes this
-- owner's down: the 0 keeps it from counting before the owner has proved with the others that it is the holder.

local holder = redis.call('HGET', KEYS[1], 'owner')
if holder ~= ARGV[1] and (holder or ARGV[4] ~= '1') then return 0 end

redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', ARGV[3], 'ttl', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if tonumber(redis.call('GET', KEYS[2]) or 0) < tonumber(ARGV[3]) then
  redis.call('SET', KEYS[2], ARGV[3])
end
return holder and 1 or 0
