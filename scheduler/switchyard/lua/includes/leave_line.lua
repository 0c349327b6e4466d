-- An owner's place in a line goes.

local function leave_line(line, waiters, owner)
  redis.call('ZREM', line, owner)
  redis.call('ZREM', waiters, owner)
end
