-- Puts a drained node back into service.
--
-- KEYS  1 node  2 bell  3 events
-- ARGV  1 name
-- Returns 1, or -1 if there is no such node.
--
-- include: add_event, ring

if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('HGET', KEYS[1], 'state') == 'draining' then
  redis.call('HSET', KEYS[1], 'state', 'up')
  add_event(KEYS[3], 'resumed', ARGV[1], 0)
  ring(KEYS[2])
end
return 1
