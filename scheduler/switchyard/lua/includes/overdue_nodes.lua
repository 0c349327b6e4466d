-- Names of nodes whose lease ran out, or is from before the clock was set back: ten of each at most, from a place on
-- that is another each time. One that nobody can reap hides no other.
--
-- include: is_ahead
-- names: NODE

local function overdue_nodes(nodes, prefix, lease, now)
  local names, late = {}, redis.call('ZCOUNT', nodes, '-inf', now - 1)
  if late > 0 then
    names = redis.call('ZRANGEBYSCORE', nodes, '-inf', now - 1, 'LIMIT', late > 10 and now % late or 0, 10)
  end
  local after = '(' .. (now + 2 * lease)
  local ahead = redis.call('ZCOUNT', nodes, after, '+inf')
  if ahead > 0 then
    local from = ahead > 10 and now % ahead or 0
    local found = redis.call('ZRANGEBYSCORE', nodes, after, '+inf', 'WITHSCORES', 'LIMIT', from, 10)
    for i = 1, #found, 2 do
      -- Another node may have a longer lease.
      local own = redis.call('HGET', prefix .. NODE .. found[i], 'lease') or lease
      if is_ahead(tonumber(found[i + 1]), own, now) then names[#names + 1] = found[i] end
    end
  end
  return names
end
