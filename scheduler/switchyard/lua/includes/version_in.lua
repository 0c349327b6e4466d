-- The version that a new one must exceed: that of the entry in this life, or the floor.

local function version_in(life, entry)
  local floor = tonumber(string.sub(life, 21, 36))
  if entry and string.sub(entry, 1, 20) == string.sub(life, 1, 20) then
    return math.max(floor, tonumber(string.sub(entry, 21, 36)))
  end
  return floor
end
