-- A server's *life* is "<id: 20><floor: 16>": the id changes whenever the server may have lost or missed
-- something as a whole (it restarted, was emptied, was told to start afresh), and entries of another life do
-- not exist; nor do entries whose version is not above the floor, which "clear" raises.
-- An id is 9 digits of the process's run_id and 11 of when the life began (hex, ms).
--
-- An entry is "<life id: 20><stamp: 43><payload>", and a stamp
-- "<version: 16><fresh until, ms: 13><gone at, ms: 13><kind: 1>".
-- The kind is v for a value, k for one that is kept on as stale, and x for a tombstone.
-- Versions grow with the clock (us) of the server that gave them.
--
-- include: now_us, run_digits

local function begin_life(key, ended)
  local began = math.floor(now_us() / 1000)
  if ended then began = math.max(began, tonumber(string.sub(ended, 10, 20), 16) + 1) end
  local life = run_digits() .. string.format('%011x', began) .. string.format('%016.0f', 0)
  redis.call('SET', key, life)
  return life
end
