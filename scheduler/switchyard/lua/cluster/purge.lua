-- Throws away the tasks of some lists: the lists themselves and a batch of one node's inbox.
--
-- KEYS  1 inbox, then the lists
-- ARGV  1 where to go on in the inbox  2 how many entries at most in this call  3 how many bytes of them
-- Returns {how many were thrown away, next place in the inbox or -1}
--
-- include: home_of, members_within, receipt_and_entry

local gone, homes = 0, {}
for i = 2, #KEYS do
  homes[KEYS[i]] = true
  gone = gone + redis.call('LLEN', KEYS[i])
  redis.call('UNLINK', KEYS[i]) -- the server frees its memory beside its work
end

local at = tonumber(ARGV[1])
local members = members_within('ZRANGE', KEYS[1], at, tonumber(ARGV[2]), tonumber(ARGV[3]))
local kept = 0
for _, member in ipairs(members) do
  local _, entry = receipt_and_entry(member)
  if homes[home_of(entry) or ''] then
    gone = gone + redis.call('ZREM', KEYS[1], member)
  else
    kept = kept + 1
  end
end
at = at + kept
return {gone, #members > 0 and at < redis.call('ZCARD', KEYS[1]) and at or -1}
