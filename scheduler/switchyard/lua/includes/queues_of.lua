-- The queues that a node says it serves; none if what it says can't be read.

local function queues_of(node)
  local is_json, said = pcall(cjson.decode, redis.call('HGET', node, 'queues') or '[]')
  local queues = {}
  for _, queue in ipairs(is_json and type(said) == 'table' and said or {}) do
    if type(queue) == 'string' then queues[#queues + 1] = queue end
  end
  return queues
end
