-- Whether a node takes tasks and its lease runs.
--
-- include: is_ahead
-- names: NODE

local function is_live(nodes, name, prefix, now)
  local held = redis.call('HMGET', prefix .. NODE .. name, 'state', 'lease')
  local deadline = tonumber(redis.call('ZSCORE', nodes, name) or 0)
  return held[1] == 'up' and deadline > now and not is_ahead(deadline, held[2], now)
end
