-- A wait list that gets work is remembered, so that nodes find it. A shared queue needs no such thing.

local function remember_wait_list(home, waiting, prefix, now)
  if string.sub(home, 1, #prefix) == prefix then
    redis.call('ZADD', waiting, now, home)
  end
end
