-- Takes a member out of an inbox and gives its message back, to the front of its home.
--
-- include: give_back, home_and_message, receipt_and_entry

local function give_back_member(inbox, member, waiting, prefix, now)
  local _, entry = receipt_and_entry(member)
  local home, message = home_and_message(entry)
  give_back('RPUSH', home, message, waiting, prefix, now)
  redis.call('ZREM', inbox, member)
end
