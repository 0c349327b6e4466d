-- A pool process died running this claim, or its node lost track of it: counts a death, gives the task back to the
-- end of its queue or, after too many deaths, gives it up.
--
-- KEYS  1 nodes  2 node  3 claims  4 waiting  5 deaths  6 dead  7 unannounced  8 events  9 counters
-- ARGV  1 name  2 epoch  3 receipt  4 message to write instead of the claimed one, or ''
--       5 max deliveries  6 prefix of our keys
-- Returns 1 if it was given back, 2 if it was given up, 0 if the node no longer holds the claim or had
--         acknowledged it.
--
-- Invariant 1: the claim goes and its message is back on its home or among the dead in this script.
--
-- include: deaths_in, give_back, give_up, home_and_message, is_acknowledged, keep_deaths, now_ms, pack_entry, ring_all

local claims, deaths, prefix, now = KEYS[3], KEYS[5], ARGV[6], now_ms()
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then return 0 end
local entry = redis.call('HGET', claims, ARGV[3])
if not entry then return 0 end

if is_acknowledged(entry) then
  redis.call('HDEL', claims, ARGV[3])
  return 0
end
local home, message = home_and_message(entry)
if ARGV[4] ~= '' then message = ARGV[4] end
local digest = redis.sha1hex(entry)
local lines = (redis.call('HGET', deaths, digest) or '') .. ARGV[1] .. '\n'
redis.call('HDEL', deaths, digest)
redis.call('HDEL', claims, ARGV[3])
if deaths_in(lines) >= tonumber(ARGV[5]) then
  give_up(KEYS[6], KEYS[7], KEYS[8], KEYS[9], prefix, ARGV[3], entry, lines, ARGV[1], now)
  return 2
end
redis.call('HSET', deaths, redis.sha1hex(pack_entry(home, message)), lines)
keep_deaths(deaths)
give_back('LPUSH', home, message, KEYS[4], prefix, now)
ring_all(KEYS[1], prefix)
return 1
