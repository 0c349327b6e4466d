-- Place, as place.lua tells it, for `messages`; keys and args are its KEYS and ARGV.
--
-- include: any_waits, leave_at_home, limit_and_outstanding, next_number, now_ms, put_in_inbox, ring
-- names: PLACED

local function place_messages(keys, args, messages)
  local bounded, ahead, candidates = args[2] == '1', tonumber(args[5]), tonumber(args[6])
  local now, placed, taker, taken = now_ms(), 0, 0, 0
  if bounded and any_waits(keys, 8, 7 + ahead) then candidates = 0 end
  for i = 1, candidates do
    local at, left = 3 + ahead + i * 4, #messages - placed
    if left == 0 then break end
    local node, inbox = keys[at + 1], keys[at + 2]
    local limit, outstanding = limit_and_outstanding(keys[1], args[7 + i], node, inbox, keys[at + 3], now)
    local count = 0
    if limit then count = bounded and math.min(math.floor(limit) - outstanding, left) or left end
    if count > 0 then
      put_in_inbox(inbox, args[1], next_number(keys[4], count, now), keys[2], messages, placed + 1, count)
      redis.call('HINCRBY', node, PLACED .. args[7], count)
      ring(keys[at + 4])
      placed, taker, taken = placed + count, i, outstanding + count
    end
  end
  if placed < #messages then leave_at_home(keys, args, messages, placed + 1, now) end
  return {taker, taken, #messages - placed}
end
