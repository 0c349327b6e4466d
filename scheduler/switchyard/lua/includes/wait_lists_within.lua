-- Some of the wait lists that have work: those where a task was left since then, the latest first, and those that a
-- scan through all of them comes by; and the scan's next cursor. `most` of either, so that thousands cost no more.
-- The names of lists that have been empty for a minute go.

local function wait_lists_within(waiting, since, cursor, most, now)
  local found = redis.call('ZREVRANGEBYSCORE', waiting, '+inf', since, 'LIMIT', 0, most)
  local scan = redis.call('ZSCAN', waiting, cursor, 'COUNT', most)
  for i = 1, #scan[2], 2 do
    local key = scan[2][i]
    if redis.call('EXISTS', key) == 1 then
      found[#found + 1] = key
    elseif math.abs(now - tonumber(scan[2][i + 1])) > 60000 then
      redis.call('ZREM', waiting, key)
    end
  end
  return found, scan[1]
end
