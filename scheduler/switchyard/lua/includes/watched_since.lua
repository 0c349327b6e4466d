-- Since when leases are renewed without a gap, whoever's, now that one is renewed. `outage` is the silence of the
-- whole cluster, in ms, that counts as one; so does a step of the clock by more than that, either way (invariant 6).

local function watched_since(watch, outage, now)
  local held = redis.call('HMGET', watch, 'since', 'last')
  local since, last = tonumber(held[1]), tonumber(held[2])
  if not since or not last or math.abs(now - last) > outage or since > now then since = now end
  redis.call('HSET', watch, 'since', since, 'last', now)
  return since
end
