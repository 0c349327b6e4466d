-- Leaves the messages from number `first` on at their home, and rings idle nodes for them.
--
-- include: remember_wait_list, ring_idle
-- names: OVERFLOWED

local function leave_at_home(keys, args, messages, first, now)
  local home, prefix, count = keys[2], args[3], #messages - first + 1
  redis.call('LPUSH', home, unpack(messages, first))
  remember_wait_list(home, keys[5], prefix, now)
  redis.call('SADD', keys[6], args[4])
  redis.call('HINCRBY', keys[7], OVERFLOWED .. args[7], count)
  ring_idle(keys[3], keys[1], prefix, math.min(count, 8), now)
end
