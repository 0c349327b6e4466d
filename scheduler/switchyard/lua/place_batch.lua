-- Places consecutive messages of one queue, priority and selector, bounded by the nodes' limits: as many into
-- the inboxes of the candidates as they have room for, best candidate first, the rest to their home.
--
-- KEYS  1 nodes  2 home  3 idle set of the queue  4 seq  5 waiting  6 queues  7 counters
--       then the lists whose tasks go before these, then node, inbox, claims, bell of each candidate
-- ARGV  1 priority step  2 prefix of our keys  3 queue  4 how many lists go before  5 how many candidates
--       6 strategy to count them under, then the candidates' names, then the messages, 200 at most
-- Returns how many went to their home.
--
-- Invariants 1, 2 and 5 as in place.lua, for all of them at once.

local nodes, home, prefix = KEYS[1], KEYS[2], ARGV[2]
local ahead, candidates = tonumber(ARGV[4]), tonumber(ARGV[5])
local message = 7 + candidates
local now = now_ms()

local clear = true
for i = 8, 7 + ahead do
  clear = clear and redis.call('LLEN', KEYS[i]) == 0
end

for i = 1, clear and candidates or 0 do
  local key = 7 + ahead + (i - 1) * 4
  local inbox, claims = KEYS[key + 2], KEYS[key + 3]
  local held = redis.call('HMGET', KEYS[key + 1], 'epoch', 'state', 'limit')
  local deadline = tonumber(redis.call('ZSCORE', nodes, ARGV[6 + i]) or 0)
  if message <= #ARGV and held[1] and held[2] == 'up' and deadline > now then
    local room = tonumber(held[3]) - redis.call('ZCARD', inbox) - redis.call('HLEN', claims)
    local count = math.min(room, #ARGV - message + 1)
    if count > 0 then
      local receipt = next_number(KEYS[4], count)
      local members = {}
      for _ = 1, count do
        members[#members + 1] = score(ARGV[1], receipt)
        members[#members + 1] = digits(receipt) .. ':' .. pack_entry(home, ARGV[message])
        receipt = receipt + 1
        message = message + 1
      end
      redis.call('ZADD', inbox, unpack(members))
      redis.call('HINCRBY', KEYS[key + 1], 'placed:' .. ARGV[6], count)
      ring(KEYS[key + 4])
    end
  end
end

local left = #ARGV - message + 1
if left == 0 then return 0 end
redis.call('LPUSH', home, unpack(ARGV, message))
if string.sub(home, 1, #prefix) == prefix then redis.call('ZADD', KEYS[5], now, home) end
redis.call('SADD', KEYS[6], ARGV[3])
redis.call('HINCRBY', KEYS[7], 'overflowed:' .. ARGV[6], left)
for _, name in ipairs(redis.call('SPOP', KEYS[3], math.min(left, 8))) do
  local up = redis.call('HGET', prefix .. 'node:' .. name, 'state') == 'up'
  if up and tonumber(redis.call('ZSCORE', nodes, name) or 0) > now then ring(prefix .. 'bell:' .. name) end
end
return left
