-- Forgets every entry up to a version, without looking at any.
--
-- KEYS  1 life
-- ARGV  1 floor: the newest version that is forgotten
-- Returns 1.
--
-- include: present_life

local life = present_life(KEYS[1])
local floor = math.max(tonumber(ARGV[1]), tonumber(string.sub(life, 21, 36)))
redis.call('SET', KEYS[1], string.sub(life, 1, 20) .. string.format('%016.0f', floor))
return 1
