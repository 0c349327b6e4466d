-- Something happened to a node that operators should be able to see.

local function add_event(events, kind, name, count)
  redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'kind', kind, 'node', name, 'count', count)
end
