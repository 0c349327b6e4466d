-- Puts a message on its home: with RPUSH at its front, the end from which kombu pops, with LPUSH behind all others.
--
-- include: remember_wait_list

local function give_back(side, home, message, waiting, prefix, now)
  redis.call(side, home, message)
  remember_wait_list(home, waiting, prefix, now)
end
