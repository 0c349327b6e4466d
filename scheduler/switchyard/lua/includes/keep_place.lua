-- Keeps an owner's place in a line for so many ms.

local function keep_place(line, waiters, owner, place, keep, now)
  redis.call('ZADD', line, place, owner)
  redis.call('ZADD', waiters, now + keep, owner)
  redis.call('PEXPIRE', line, keep)
  redis.call('PEXPIRE', waiters, keep)
end
