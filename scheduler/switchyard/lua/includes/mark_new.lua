-- Which of these ticks are new, in this order? Of each periodic entry it is kept through which instant its ticks
-- were sent; none at or before that is new. A mark that is ahead of the clock by more than 10 s, a leader's longest
-- ttl, is from before the clock was set back, and does not count. Marks older than all of these ticks by `keep_us` go.
--
-- include: digits, now_us

local function mark_new(ticks, entries, instants, throughs, keep_us)
  local new, latest, marks, oldest = {}, {}, {}, math.huge
  local known, ahead = redis.call('ZMSCORE', ticks, unpack(entries)), now_us() + 10000000
  for i, entry in ipairs(entries) do
    local instant = tonumber(instants[i])
    oldest = math.min(oldest, instant)
    local through = latest[entry] or tonumber(known[i] or 0)
    new[i] = instant > through or through > ahead
    if new[i] then
      latest[entry] = tonumber(throughs[i])
      marks[#marks + 1], marks[#marks + 2] = throughs[i], entry
    end
  end
  if #marks > 0 then
    redis.call('ZADD', ticks, unpack(marks))
    redis.call('ZREMRANGEBYSCORE', ticks, 0, digits(oldest - tonumber(keep_us)))
  end
  return new
end
