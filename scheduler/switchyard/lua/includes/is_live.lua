-- Whether a node takes tasks and its lease runs.
--
-- names: NODE

local function is_live(nodes, name, prefix, now)
  return redis.call('HGET', prefix .. NODE .. name, 'state') == 'up'
    and tonumber(redis.call('ZSCORE', nodes, name) or 0) > now
end
