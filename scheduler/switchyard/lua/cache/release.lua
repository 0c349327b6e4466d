-- Gives the claim on a computation back, unless it is another's by now.
--
-- KEYS  1 claim
-- ARGV  1 token
-- Returns 1 if it was given back.
--
-- include: delete_if_equal

return delete_if_equal(KEYS[1], ARGV[1])
