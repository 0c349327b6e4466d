-- The first of `count` numbers (receipts, epochs) that were never given out before, also if the server has lost
-- its last writes, and the counter with them: none is behind its clock. 32 a ms are more than it can give out,
-- and leave a receipt 48 bits until the year 2248.
--
-- include: digits

local function next_number(counter, count, now)
  local before = math.max(tonumber(redis.call('GET', counter) or 0), now * 32)
  redis.call('SET', counter, digits(before + count))
  return before + 1
end
