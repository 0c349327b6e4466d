-- Writes an entry at the first of its owners that answers, which gives it its version.
--
-- KEYS  1 life  2 entry
-- ARGV  1 fresh for, in ms  2 kept on as stale for, in ms  3 kind  4 payload  5 version that it must exceed
--       6 when its writer gives up, in ms by this server's clock
-- Returns the stamp: version, times and kind, for the other owners; '' if it came too late.
--
-- Every write has a version above all that this server knew of the key, so the last write wins everywhere. Times
-- follow from the version: a tombstone that is to last as long as the longest entry outlives every older entry.
-- A write that its writer gave up must not be done later, when a pause ends: it would be the newest.
--
-- include: digits, now_us, present_life, version_in

if now_us() > tonumber(ARGV[6]) * 1000 then return '' end
local life = present_life(KEYS[1])
local known = version_in(life, redis.call('GET', KEYS[2]))
local version = math.max(now_us(), known + 1, tonumber(ARGV[5]) + 1)
local fresh = math.floor(version / 1000) + tonumber(ARGV[1])
local gone = fresh + tonumber(ARGV[2])
local stamp = string.format('%016.0f%013.0f%013.0f', version, fresh, gone) .. ARGV[3]
redis.call('SET', KEYS[2], string.sub(life, 1, 20) .. stamp .. ARGV[4], 'PXAT', digits(gone))
return stamp
