-- The nodes that died holding an entry, or lost a pool process running it, are kept a line each. A line that begins
-- with a space is a doubt: the entry had not started at that node's last heartbeat, but may have since. Four doubts
-- count as a death, so that one which always kills before it is seen running is given up as well. A line with a tab in
-- front is no death at all: see count_return.

local function deaths_in(lines)
  local _, all = string.gsub(lines or '', '\n', '')
  local _, doubts = string.gsub('\n' .. (lines or ''), '\n ', '')
  local _, returns = string.gsub(lines or '', '\t', '')
  return all - returns - doubts + math.floor(doubts / 4)
end
