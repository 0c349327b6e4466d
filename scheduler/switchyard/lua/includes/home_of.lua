-- The home of an entry; nothing if it is no entry.
--
-- include: home_and_message

local function home_of(entry)
  local is_entry, home = pcall(home_and_message, entry)
  if is_entry then return home end
end
