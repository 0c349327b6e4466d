-- A task that starts takes the flight of its key, unless another one is running already. From a task that
-- still waits in a queue, or is not even there, it is taken: that one will find the result when its turn comes.
--
-- KEYS  1 flight
-- ARGV  1 record of the task, as running  2 how long it is held, in ms
-- Returns the record of the task that has it now
--
-- Invariant: one task at a time computes a key, and nobody with a slot waits for somebody without one.
--
-- include: hold_at_most

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and string.sub(holder, 1, 8) == 'running:' then
  hold_at_most(KEYS[1], holder, ARGV[2])
  return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
