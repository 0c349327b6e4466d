-- How often an entry was handed out before: once for each death or doubt, and as often as it came back without one,
-- which a line of its own says, a tab in front.

local function deliveries_in(lines)
  local _, all = string.gsub(lines, '[\n\r]', '')
  local returns = string.match(lines, '\t(%d+)\r')
  return returns and all - 1 + tonumber(returns) or all
end
