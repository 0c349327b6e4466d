-- Hands a node up to as many messages as it has room for: its inbox first, then the lists, group by group.
--
-- KEYS  1 node  2 inbox  3 claims  4 seq  5 deaths, then the idle sets of its queues, then the lists
-- ARGV  1 name  2 epoch  3 how many at most  4 how many idle sets  5 '1' to take turns within a group
--       6 how many bytes at most, but for what the last step takes  7 ... sizes of the groups that the lists come in
-- Returns {'fenced'}, {'draining'}, or {'ok', receipt, deaths, earlier deliveries, home, message, receipt, ...}, with
--         'more' for 'ok' if the bytes kept it from taking more
--
-- Invariant 1: a message goes from its list or inbox to the claims in this script; it is never only in a
-- process. Invariant 3: a fenced node gets nothing. Invariant 4: a node that got less than it asked for is
-- in the idle sets, so that the next task left on a shared queue rings its bell. Invariant 8: a node holds one
-- suspect at a time, a task that two nodes or more died with, so that those which died together do not die together
-- again: until it is settled, which rings for the next, or for 10 s, and four times as long for each further death.
-- Each step takes as many as all before it and one: one large message is found out before many are taken.
--
-- include: deaths_in, deliveries_in, digits, home_and_message, next_number, now_ms, pack_entry, receipt_and_entry

local node, inbox, claims, name, now = KEYS[1], KEYS[2], KEYS[3], ARGV[1], now_ms()
local held = redis.call('HMGET', node, 'epoch', 'state', 'idle', 'suspect', 'cleared at')
if held[1] ~= ARGV[2] then return {'fenced'} end
if held[2] ~= 'up' then return {'draining'} end

local want, bytes = tonumber(ARGV[3]), tonumber(ARGV[6])
local answer = {'ok'}
local died = redis.call('EXISTS', KEYS[5]) == 1

-- The deaths of an entry, as deaths_in reads them.
local function lines_of(entry)
  return died and redis.call('HGET', KEYS[5], redis.sha1hex(entry)) or ''
end

local function keep(receipt, entry, home, message, lines)
  redis.call('HSET', claims, receipt, entry)
  answer[#answer + 1] = receipt
  answer[#answer + 1] = lines == '' and 0 or deaths_in(lines)
  answer[#answer + 1] = lines == '' and 0 or deliveries_in(lines)
  answer[#answer + 1] = home
  answer[#answer + 1] = message
  want, bytes = want - 1, bytes - #message
end

-- A suspect that has run for a while clears itself: others need not wait for the end of a long task.
local holds_suspect = died and held[4] and now < tonumber(held[5] or 0) and redis.call('HEXISTS', claims, held[4]) == 1

local step = 1
while want > 0 and bytes > 0 do
  local popped = redis.call('ZPOPMIN', inbox, math.min(step, want))
  if #popped == 0 then break end
  for i = 1, #popped, 2 do
    local receipt, entry = receipt_and_entry(popped[i])
    local home, message = home_and_message(entry)
    keep(receipt, entry, home, message, lines_of(entry))
  end
  step = step * 2
end

-- Up to `count` messages from a list become claims; how many. Those that must not go here now stay in front; a
-- hundred of them at most are looked past.
local function take(list, count)
  local taken, passed = 0, {}
  while taken < count and #passed < 100 and bytes > 0 do
    local messages = redis.call('RPOP', list, math.min(1 + taken + #passed, count - taken))
    if not messages then break end
    local receipt = next_number(KEYS[4], #messages, now)
    for i, message in ipairs(messages) do
      local entry, number = pack_entry(list, message), digits(receipt + i - 1)
      local lines = lines_of(entry)
      local deaths = lines == '' and 0 or deaths_in(lines)
      local suspect = deaths >= 2
      if suspect and holds_suspect then
        passed[#passed + 1] = message
      else
        if suspect then
          holds_suspect = true
          redis.call('HSET', node, 'suspect', number, 'cleared at', now + 10000 * 4 ^ (deaths - 2))
        end
        keep(number, entry, list, message, lines)
        taken = taken + 1
      end
    end
  end
  for i = #passed, 1, -1 do redis.call('RPUSH', list, passed[i]) end
  return taken
end

local first = 6 + tonumber(ARGV[4])
for group = 7, #ARGV do
  local size = tonumber(ARGV[group])
  local turns = ARGV[5] == '1' and size > 1
  local found = true
  while want > 0 and bytes > 0 and found do
    found = false
    for from = first, first + size - 1, 100 do
      local to = math.min(from + 99, first + size - 1)
      -- An empty list is not there: of thousands, most are left out a hundred at a time.
      if want > 0 and (size <= 100 or redis.call('EXISTS', unpack(KEYS, from, to)) > 0) then
        for i = from, to do
          if want <= 0 then break end
          if take(KEYS[i], turns and 1 or want) > 0 then found = true end
        end
      end
    end
  end
  first = first + size
end

if want > 0 and bytes <= 0 then answer[1] = 'more' end
local idle = want > 0 and bytes > 0 and '1' or '0'
if idle == '1' then
  for i = 6, 5 + tonumber(ARGV[4]) do redis.call('SADD', KEYS[i], name) end
elseif held[3] == '1' then
  for i = 6, 5 + tonumber(ARGV[4]) do redis.call('SREM', KEYS[i], name) end
end
if held[3] ~= idle then redis.call('HSET', node, 'idle', idle) end
return answer
