-- Writes what a node says of itself. `said` has at `at` how many queues, then the queues, then field, value ...

local function describe_node(node, queues, said, at)
  local first = at + 1 + tonumber(said[at])
  for i = at + 1, first - 1 do redis.call('SADD', queues, said[i]) end
  if first < #said then redis.call('HSET', node, unpack(said, first)) end
end
