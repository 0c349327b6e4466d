-- Gives entries of an inbox back, as many as `most` and `bytes` allow; how many, and the bytes that are left. The
-- newest goes first, each to the front of its home, so that they stand in their old order (invariant 5).
--
-- include: give_back, home_and_message, members_within, receipt_and_entry

local function give_back_inbox(inbox, most, bytes, waiting, prefix, now)
  local members, left = members_within('ZREVRANGE', inbox, 0, most, bytes)
  for _, member in ipairs(members) do
    local _, entry = receipt_and_entry(member)
    local home, message = home_and_message(entry)
    give_back('RPUSH', home, message, waiting, prefix, now)
    redis.call('ZREM', inbox, member)
  end
  return #members, left
end
