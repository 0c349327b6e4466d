-- Counts one node's inbox or claims by home, a batch at a time, and finds the oldest of each.
--
-- KEYS  1 inbox  2 claims
-- ARGV  1 where to go on in the inbox  2 cursor of the claims  3 how many at most
-- Returns {next place in the inbox or -1, next cursor or '0',
--          {home, count, message with the lowest receipt, ...} placed, {the same} claimed}
--
-- include: home_and_message, home_of, receipt_and_entry

local function tally()
  return {order = {}, count = {}, oldest = {}, message = {}}
end

local function add(t, receipt, entry)
  local home = home_of(entry)
  if not home then return end -- a stranger
  local _, message = home_and_message(entry)
  if not t.count[home] then
    t.order[#t.order + 1] = home
    t.count[home] = 0
  end
  t.count[home] = t.count[home] + 1
  if not t.oldest[home] or receipt < t.oldest[home] then
    t.oldest[home], t.message[home] = receipt, message
  end
end

local function flat(t)
  local out = {}
  for _, home in ipairs(t.order) do
    out[#out + 1] = home
    out[#out + 1] = t.count[home]
    out[#out + 1] = t.message[home]
  end
  return out
end

local placed, claimed = tally(), tally()
local at, batch = tonumber(ARGV[1]), tonumber(ARGV[3])
if at >= 0 then
  local members = redis.call('ZRANGE', KEYS[1], at, at + batch - 1)
  for _, member in ipairs(members) do
    local receipt, entry = receipt_and_entry(member)
    add(placed, tonumber(receipt) or 0, entry)
  end
  at = #members == batch and at + batch or -1
end
local cursor = ARGV[2]
if cursor ~= '' then
  local scan = redis.call('HSCAN', KEYS[2], cursor, 'COUNT', batch)
  cursor = scan[1]
  for i = 1, #scan[2], 2 do add(claimed, tonumber(scan[2][i]) or 0, scan[2][i + 1]) end
end
return {at, cursor, flat(placed), flat(claimed)}
