-- Puts `count` messages, from number `first` on, into an inbox in their order. A member is "<receipt>:<entry>": the
-- receipt keeps two equal messages apart.
--
-- include: digits, pack_entry, score

local function put_in_inbox(inbox, step, receipt, home, messages, first, count)
  local members = {}
  for i = 0, count - 1 do
    members[#members + 1] = score(step, receipt + i)
    members[#members + 1] = digits(receipt + i) .. ':' .. pack_entry(home, messages[first + i])
  end
  redis.call('ZADD', inbox, unpack(members))
end
