-- What an inbox's member is made of. A stranger is all receipt and all entry.

local function receipt_and_entry(member)
  local colon = string.find(member, ':', 1, true) or 0
  return string.sub(member, 1, colon - 1), string.sub(member, colon + 1)
end
