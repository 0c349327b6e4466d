-- Gives entries of an inbox back, `most` of them at most; how many. The newest goes first, each to the front of its
-- home, so that they stand in their old order (invariant 5).
--
-- include: give_back, home_and_message, receipt_and_entry

local function give_back_inbox(inbox, most, waiting, prefix, now)
  local members = redis.call('ZREVRANGE', inbox, 0, most - 1)
  for _, member in ipairs(members) do
    local _, entry = receipt_and_entry(member)
    local home, message = home_and_message(entry)
    give_back('RPUSH', home, message, waiting, prefix, now)
    redis.call('ZREM', inbox, member)
  end
  return #members
end
