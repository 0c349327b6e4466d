-- Gives the claim on a computation back, unless it is another's by now.
--
-- KEYS  1 claim
-- ARGV  1 token
-- Returns 1 if it was given back.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
