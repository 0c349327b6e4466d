-- The server's clock, in us. A double holds them exactly until the year 2255.

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
