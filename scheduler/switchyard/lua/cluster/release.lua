-- A node gives claims back unsettled: rejected with requeue, left over at a reconnect, or never started.
--
-- KEYS  1 nodes  2 node  3 claims  4 waiting  5 deaths
-- ARGV  1 epoch  2 'front' or 'back' of their homes  3 prefix of our keys  4 how many bytes at most, a message
--       more than that  5 ... receipt, message to write instead of the claimed one or '' ...; oldest first, 200 at most
-- Returns {how many were given back, how many of the pairs that took}, from the end if they go to the front; a
-- fenced node gives back nothing.
--
-- Invariant 1: a claim goes and its message is back on its home in this script, or neither.
-- Invariant 5: at the front they keep their order. A changed message keeps its count of deaths.
--
-- include: count_return, give_back, home_and_message, is_acknowledged, keep_deaths, now_ms, pack_entry, ring_all

if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return {0, (#ARGV - 4) / 2} end
local front = ARGV[2] == 'front'
local from, to, step = 5, #ARGV - 1, 2
if front then from, to, step = #ARGV - 1, 5, -2 end

local now, released, taken, bytes = now_ms(), 0, 0, tonumber(ARGV[4])
for i = from, to, step do
  if bytes <= 0 then break end
  taken = taken + 1
  local entry = redis.call('HGET', KEYS[3], ARGV[i])
  if entry and is_acknowledged(entry) then
    redis.call('HDEL', KEYS[3], ARGV[i])
  elseif entry then
    local home, message = home_and_message(entry)
    local before = redis.sha1hex(entry)
    local lines, after = count_return(redis.call('HGET', KEYS[5], before) or ''), before
    if ARGV[i + 1] ~= '' then
      message = ARGV[i + 1]
      redis.call('HDEL', KEYS[5], before)
      after = redis.sha1hex(pack_entry(home, message))
    end
    redis.call('HSET', KEYS[5], after, lines)
    redis.call('HDEL', KEYS[3], ARGV[i])
    give_back(front and 'RPUSH' or 'LPUSH', home, message, KEYS[4], ARGV[3], now)
    released, bytes = released + 1, bytes - #entry
  end
end
if released > 0 then
  keep_deaths(KEYS[5])
  ring_all(KEYS[1], ARGV[3])
end
return {released, taken}
