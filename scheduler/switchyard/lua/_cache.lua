-- Shared by the cache's scripts; scripts.py puts it in front of each.
--
-- A server's *life* is "<id: 20><floor: 16>": the id changes whenever the server may have lost or missed
-- something as a whole (it restarted, was emptied, was told to start afresh), and entries of another life do
-- not exist; nor do entries whose version is not above the floor, which "clear" raises.
-- An id is 9 digits of the process's run_id and 11 of when the life began (hex, ms).
--
-- An entry is "<life id: 20><mark: 43><payload>", and a mark "<version: 16><fresh until, ms: 13><gone at, ms: 13><kind: 1>".
-- The kind is v for a value, k for one that is kept on as stale, and x for a tombstone.
-- Versions grow with the clock (us) of the server that gave them.

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function run_digits()
  return string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 9)
end

local function begin_life(key, ended)
  local began = math.floor(now_us() / 1000)
  if ended then began = math.max(began, tonumber(string.sub(ended, 10, 20), 16) + 1) end
  local life = run_digits() .. string.format('%011x', began) .. string.format('%016.0f', 0)
  redis.call('SET', key, life)
  return life
end

-- The life that writes go into. A connection is admitted before it writes, so none was missing but emptied ones.
local function present_life(key)
  return redis.call('GET', key) or begin_life(key)
end

-- The version that a new one must exceed: that of the entry in this life, or the floor.
local function version_in(life, entry)
  local floor = tonumber(string.sub(life, 21, 36))
  if entry and string.sub(entry, 1, 20) == string.sub(life, 1, 20) then
    return math.max(floor, tonumber(string.sub(entry, 21, 36)))
  end
  return floor
end
