-- The lines of an entry that comes back once more without a death.

local function count_return(lines)
  local returns = 1
  local others = string.gsub(lines, '\t(%d+)\r', function(before)
    returns = tonumber(before) + 1
    return ''
  end)
  return others .. '\t' .. returns .. '\r'
end
