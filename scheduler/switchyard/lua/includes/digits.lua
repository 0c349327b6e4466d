-- Lua would write so large a number as 5.8e+13.

local function digits(number)
  return string.format('%.0f', number)
end
