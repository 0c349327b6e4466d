-- The life that writes go into. A connection is admitted before it writes, so none was missing but emptied ones.
--
-- include: begin_life

local function present_life(key)
  return redis.call('GET', key) or begin_life(key)
end
