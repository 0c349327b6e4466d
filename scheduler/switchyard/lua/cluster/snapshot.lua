-- Reads every node of the cluster with its exact outstanding, and those lately lost.
--
-- KEYS  1 nodes  2 lost
-- ARGV  1 prefix of our keys  2 ... fields of the node's hash
-- Returns {now in ms, {name, lease deadline in ms (when it was reaped, if lost), 'up' or 'lost', inbox,
--          claims, {field values}}, ...}, with nil for a key that is none of ours
--
-- include: now_ms
-- names: CLAIMS, INBOX, NODE

local prefix = ARGV[1]
local fields = {}
for i = 2, #ARGV do fields[#fields + 1] = ARGV[i] end
local answer = {now_ms()}

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

local nodes = redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
for i = 1, #nodes, 2 do read(nodes[i], nodes[i + 1], 'up') end
local lost = redis.call('ZRANGE', KEYS[2], 0, 999, 'WITHSCORES')
for i = 1, #lost, 2 do read(lost[i], lost[i + 1], 'lost') end
return answer
