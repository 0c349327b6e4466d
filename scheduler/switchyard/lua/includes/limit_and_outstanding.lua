-- How many tasks a live node may have outstanding and how many it has; nothing if it takes none.
--
-- include: is_ahead

local function limit_and_outstanding(nodes, name, node, inbox, claims, now)
  local held = redis.call('HMGET', node, 'epoch', 'state', 'limit', 'lease')
  local deadline = tonumber(redis.call('ZSCORE', nodes, name) or 0)
  if not held[1] or held[2] ~= 'up' or deadline <= now or is_ahead(deadline, held[4], now) then return nil end
  return tonumber(held[3]) or 0, redis.call('ZCARD', inbox) + redis.call('HLEN', claims)
end
