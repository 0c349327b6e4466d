-- An entry goes among the dead: why, and the nodes that died holding it, a line each. A node's event and a counter
-- tell of it.
--
-- include: add_event, deaths_in, home_and_message
-- names: DEAD

local function bury_entry(dead, events, counters, prefix, receipt, entry, lines, reason, name, now)
  local home, message = home_and_message(entry)
  redis.call('HSET', prefix .. DEAD .. receipt, 'home', home, 'message', message, 'deaths', deaths_in(lines),
    'nodes', lines, 'reason', reason, 'at', now)
  redis.call('ZADD', dead, now, receipt)
  add_event(events, 'given up', name, 1)
  redis.call('HINCRBY', counters, 'given up', 1)
end
