-- Lets a flight that is being published or run end no later than its holder keeps it: a clock that was set back
-- would hold that of a dead one until it has caught up. A task that waits in a queue is held for longer.
-- `hold` is that of whoever asks: a live holder renews after a third of its own, so their leases may differ by less
-- than three times.

local function hold_at_most(flight, holder, hold)
  if string.sub(holder, 1, 8) == 'waiting:' then return end
  if redis.call('PTTL', flight) > tonumber(hold) then redis.call('PEXPIRE', flight, hold) end
end
