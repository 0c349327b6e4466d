-- The nodes that died holding an entry, or lost a pool process running it, are kept a line each.

local function deaths_in(lines)
  local _, count = string.gsub(lines or '', '\n', '')
  return count
end
