-- kombu's list, without kombu's prefix, behind a home.
--
-- names: SELECTOR_SEPARATOR, WAIT

local function list_of(home, prefix, kombus_prefix)
  local wait = prefix .. WAIT
  if string.sub(home, 1, #wait) ~= wait then return string.sub(home, #kombus_prefix + 1) end
  return string.match(string.sub(home, #wait + 1), '^(.*)' .. SELECTOR_SEPARATOR) or ''
end
