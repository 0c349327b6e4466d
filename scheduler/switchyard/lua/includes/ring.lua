-- A bell holds one token at most: it says "look", never "how many".

local function ring(bell)
  if redis.call('LLEN', bell) == 0 then
    redis.call('LPUSH', bell, '1')
  end
end
