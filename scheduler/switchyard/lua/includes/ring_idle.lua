-- Rings up to `count` live nodes of an idle set. Names of nodes that are not live any more go on the way, each for
-- good; a hundred at most in one call.
--
-- include: is_live, ring
-- names: BELL

local function ring_idle(idle, nodes, prefix, count, now)
  local stale = 0
  while count > 0 and stale < 100 do
    local name = redis.call('SPOP', idle)
    if not name then return end
    if is_live(nodes, name, prefix, now) then
      ring(prefix .. BELL .. name)
      count = count - 1
    else
      stale = stale + 1
    end
  end
end
