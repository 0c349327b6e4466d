-- The nodes that died holding an entry, or lost a pool process running it, are kept a line each. What is no death
-- ends in a carriage return, for the first versions count line feeds: with a space in front it is a doubt, the entry
-- had not started at that node's last heartbeat, but may have since; with a tab in front see count_return. Four doubts
-- count as a death, so that one which always kills before it is seen running is given up as well.

local function deaths_in(lines)
  local _, deaths = string.gsub(lines or '', '\n', '')
  local _, others = string.gsub(lines or '', '\r', '')
  local _, returns = string.gsub(lines or '', '\t', '')
  return deaths + math.floor((others - returns) / 4)
end
