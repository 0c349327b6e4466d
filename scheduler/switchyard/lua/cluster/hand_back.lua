-- Gives back what is placed on a node for queues that it does not serve: it left them, or never did.
--
-- KEYS  1 nodes  2 node  3 inbox  4 waiting, then the idle sets of queues that it left
-- ARGV  1 name  2 epoch  3 prefix of our keys  4 kombu's prefix  5 what stands between a queue and a priority step
--       6 where to go on in the inbox, from its end  7 how many entries at most in this call  8 how many bytes of them
--       9 ... the queues that it serves
-- Returns {how many went back, next place or -1}; a fenced node gives back nothing.
--
-- Invariant 1: an entry leaves the inbox and is back on its home in this script. Invariant 4: the node is not rung
-- for these queues instead of one that would come. Invariant 5: the newest is given back first, each to the front of
-- its home, so that they stand in their old order.
--
-- include: give_back_member, home_of, list_of, members_within, now_ms, receipt_and_entry, ring_all

local name, prefix, separator = ARGV[1], ARGV[3], ARGV[5]
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then return {0, -1} end
for i = 5, #KEYS do redis.call('SREM', KEYS[i], name) end

-- A queue's name may hold the separator as well: of what cannot be told, the node takes care when it claims it.
local function is_served(home)
  local list = list_of(home, prefix, ARGV[4])
  for i = 9, #ARGV do
    local begins = ARGV[i] .. separator
    if list == ARGV[i] or string.sub(list, 1, #begins) == begins then return true end
  end
  return false
end

local now, moved, kept = now_ms(), 0, 0
local members = members_within('ZREVRANGE', KEYS[3], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]))
for _, member in ipairs(members) do
  local _, entry = receipt_and_entry(member)
  local home = home_of(entry)
  if home and not is_served(home) then
    give_back_member(KEYS[3], member, KEYS[4], prefix, now)
    moved = moved + 1
  else
    kept = kept + 1
  end
end
if moved > 0 then ring_all(KEYS[1], prefix) end
local at = tonumber(ARGV[6]) + kept
return {moved, #members > 0 and at < redis.call('ZCARD', KEYS[3]) and at or -1}
