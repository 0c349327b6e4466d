-- Work came back that any node may be the one to run.
--
-- include: ring
-- names: BELL

local function ring_all(nodes, prefix)
  for _, name in ipairs(redis.call('ZRANGE', nodes, 0, 999)) do
    ring(prefix .. BELL .. name)
  end
end
