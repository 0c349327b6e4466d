-- A node is done with these tasks for good: their claims go, many in one round trip.
--
-- KEYS  1 node  2 claims  3 deaths  4 orphans of this epoch  5 events  6 counters  7 bell
-- ARGV  1 epoch  2 name  3 ... receipts, 500 at most
-- Returns {'ok', how many were claimed}, or
--         {'fenced', how many redelivered copies were cancelled in time, how many may run twice}
--
-- Invariant 3: a late settle of a fenced epoch touches no claim of anybody. Its tasks were given back to
-- their homes; a copy that nobody claimed yet is taken away again, any other may be a duplicate. It stands near the
-- front, where it was given back to: no list is searched further than some 100,000 messages in all.
--
-- include: add_event, home_and_message, ring

local receipts = {}
for i = 3, #ARGV do receipts[#receipts + 1] = ARGV[i] end

if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local suspect = redis.call('HGET', KEYS[1], 'suspect')
    for i, entry in ipairs(redis.call('HMGET', KEYS[2], unpack(receipts))) do
      if entry then redis.call('HDEL', KEYS[3], redis.sha1hex(entry)) end
      if receipts[i] == suspect then ring(KEYS[7]) end -- another suspect may wait for this one's end
    end
  end
  return {'ok', redis.call('HDEL', KEYS[2], unpack(receipts))}
end

local cancelled, depth = 0, math.ceil(100000 / #receipts)
for _, receipt in ipairs(receipts) do
  local entry = redis.call('HGET', KEYS[4], receipt)
  if entry then
    local home, message = home_and_message(entry)
    if redis.call('LPOS', home, message, 'RANK', -1, 'MAXLEN', depth) then
      redis.call('LREM', home, -1, message)
      cancelled = cancelled + 1
      redis.call('HDEL', KEYS[3], redis.sha1hex(entry))
    end
    redis.call('HDEL', KEYS[4], receipt)
  end
end
add_event(KEYS[5], 'fenced', ARGV[2], #receipts - cancelled)
redis.call('HINCRBY', KEYS[6], 'possible duplicates', #receipts - cancelled)
return {'fenced', cancelled, #receipts - cancelled}
