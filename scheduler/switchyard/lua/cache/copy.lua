-- Writes an entry that has its version already: at the other owners, as a repair, or to fill a server.
--
-- KEYS  1 life  2 entry
-- ARGV  1 stamp  2 payload  3 id of the life that it is meant for, or '' for any
-- Returns the version that the server holds now, or that any write must exceed: greater than the stamp's if it was
--         refused; '' if the life is over or the entry would be gone.
--
-- An older version never replaces a newer one, nor a tombstone: this is why a repair cannot bring a deleted key
-- back. A repair is meant for the life in which the key was seen missing: a tombstone may have gone with it.
--
-- include: digits, now_us, present_life, version_in

local life = present_life(KEYS[1])
local id = string.sub(life, 1, 20)
local version, gone = tonumber(string.sub(ARGV[1], 1, 16)), tonumber(string.sub(ARGV[1], 30, 42))
if (ARGV[3] ~= '' and ARGV[3] ~= id) or gone * 1000 <= now_us() then return '' end
local known = version_in(life, redis.call('GET', KEYS[2]))
if known >= version then return string.format('%016.0f', known) end
redis.call('SET', KEYS[2], id .. ARGV[1] .. ARGV[2], 'PXAT', digits(gone))
return string.sub(ARGV[1], 1, 16)
