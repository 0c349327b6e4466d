-- Counts what waits for a queue: its lists, its wait lists, and its share of the inboxes.
--
-- KEYS  1 nodes  2 waiting, then the lists
-- ARGV  1 prefix of our keys, then the lists' names as they are in the names of wait lists
-- Returns the count. Of one inbox a thousand entries at most are looked at.
--
-- include: home_of, members_of, receipt_and_entry
-- names: INBOX, SELECTOR_SEPARATOR, WAIT

local prefix, total, homes = ARGV[1], 0, {}
for i = 3, #KEYS do
  homes[KEYS[i]] = true
  total = total + redis.call('LLEN', KEYS[i])
end
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, 999)) do
  for i = 2, #ARGV do
    local start = prefix .. WAIT .. ARGV[i] .. SELECTOR_SEPARATOR
    if string.sub(key, 1, #start) == start then
      homes[key] = true
      total = total + redis.call('LLEN', key)
    end
  end
end
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, 999)) do
  for _, member in ipairs(members_of(prefix .. INBOX .. name, 0, 999)) do
    local _, entry = receipt_and_entry(member)
    if homes[home_of(entry) or ''] then total = total + 1 end
  end
end
return total
