-- Counts one node's inbox or claims by home, a batch at a time, and finds the oldest of each.
--
-- KEYS  1 inbox  2 claims
-- ARGV  1 where to go on in the inbox, or -1  2 cursor of the claims, or ''  3 how many entries at most of each in
--       this call  4 how many bytes of them
-- Returns {next place in the inbox or -1, next cursor or '0',
--          {home, count, message with the lowest receipt, ...} placed, {the same} claimed}
--
-- include: fields_within, home_and_message, home_of, members_within, receipt_and_entry

local function tally()
  return {order = {}, count = {}, oldest = {}, message = {}}
end

local function add(t, receipt, entry)
  local home = home_of(entry)
  if not home or home == '' then return end -- a stranger, or one that was acknowledged when it started
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
local at, most, bytes = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
if at >= 0 then
  local members = members_within('ZRANGE', KEYS[1], at, most, bytes)
  for _, member in ipairs(members) do
    local receipt, entry = receipt_and_entry(member)
    add(placed, tonumber(receipt) or 0, entry)
  end
  at = at + #members
  if #members == 0 or at >= redis.call('ZCARD', KEYS[1]) then at = -1 end
end
local cursor = ARGV[2]
if cursor ~= '' then
  local scan = redis.call('HSCAN', KEYS[2], cursor, 'COUNT', fields_within(KEYS[2], most, bytes))
  cursor = scan[1]
  for i = 1, #scan[2], 2 do add(claimed, tonumber(scan[2][i]) or 0, scan[2][i + 1]) end
end
return {at, cursor, flat(placed), flat(claimed)}
