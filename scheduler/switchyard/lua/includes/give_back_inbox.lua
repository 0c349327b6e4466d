-- Gives entries of an inbox back, as many as `most` and `bytes` allow; how many, and the bytes that are left. The
-- newest goes first, each to the front of its home, so that they stand in their old order (invariant 5).
--
-- include: give_back_member, members_within

local function give_back_inbox(inbox, most, bytes, waiting, prefix, now)
  local members, left = members_within('ZREVRANGE', inbox, 0, most, bytes)
  for _, member in ipairs(members) do
    give_back_member(inbox, member, waiting, prefix, now)
  end
  return #members, left
end
