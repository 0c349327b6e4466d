-- What pack_entry put together.

local function home_and_message(entry)
  local colon = string.find(entry, ':', 1, true)
  local last = colon + tonumber(string.sub(entry, 1, colon - 1))
  return string.sub(entry, colon + 1, last), string.sub(entry, last + 1)
end
