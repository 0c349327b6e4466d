-- Throws away the tasks of some lists: the lists themselves and a batch of one node's inbox.
--
-- KEYS  1 inbox, then the lists
-- ARGV  1 where to go on in the inbox  2 how many at most
-- Returns {how many were thrown away, next place in the inbox or -1}
--
-- include: home_of, members_of, receipt_and_entry

local gone, homes = 0, {}
for i = 2, #KEYS do
  homes[KEYS[i]] = true
  gone = gone + redis.call('LLEN', KEYS[i])
  redis.call('DEL', KEYS[i])
end

local at, batch = tonumber(ARGV[1]), tonumber(ARGV[2])
local members = members_of(KEYS[1], at, at + batch - 1)
local kept = 0
for _, member in ipairs(members) do
  local _, entry = receipt_and_entry(member)
  if homes[home_of(entry) or ''] then
    gone = gone + redis.call('ZREM', KEYS[1], member)
  else
    kept = kept + 1
  end
end
return {gone, #members == batch and at + kept or -1}
