-- Reads every node of the cluster with its exact outstanding, and those lately lost.
--
-- KEYS  1 nodes  2 lost
-- ARGV  1 prefix of our keys  2 cursor of the nodes and 3 of those lost; '' for no more of them
--       4 about how many at most of either  5 ... fields of the node's hash
-- Returns {now in ms, next cursor of the nodes or '', that of those lost, {name, lease deadline in ms (when it was
--         reaped, if lost), 'up' or 'lost', inbox, claims, {field values}}, ...}; nil for a key that is none of ours
--
-- include: now_ms
-- names: CLAIMS, INBOX, NODE

local prefix = ARGV[1]
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
local answer = {now_ms(), '', ''}

-- A key that is of another type than ours is a stranger, and no reason to tell nothing of the others.
local function ask(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return false end
  return reply
end

local function read(name, at, state)
  answer[#answer + 1] = {
    name, at, state,
    ask('ZCARD', prefix .. INBOX .. name),
    ask('HLEN', prefix .. CLAIMS .. name),
    ask('HMGET', prefix .. NODE .. name, unpack(fields)),
  }
end

for set, state in ipairs({'up', 'lost'}) do
  if ARGV[set + 1] ~= '' then
    -- A scan, because heartbeats change a node's rank all the time.
    local scan = redis.call('ZSCAN', KEYS[set], ARGV[set + 1], 'COUNT', ARGV[4])
    for i = 1, #scan[2], 2 do read(scan[2][i], scan[2][i + 1], state) end
    answer[set + 1] = scan[1] == '0' and '' or scan[1]
  end
end
return answer
