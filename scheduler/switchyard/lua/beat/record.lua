-- Records in RedBeat's storage that ticks were sent: each entry's last run, and when it is due next.
--
-- KEYS  1 RedBeat's schedule, then the entries
-- ARGV  for each entry: the instant through which its ticks were sent or left out in us (0: none was due),
--       RedBeat's meta (empty: none was sent), when it is due next in s (below zero: never), the SHA-1 of the
--       definition that says so
-- Returns how many entries moved.
--
-- An entry only moves forward, so that a leader that slept cannot take back what its successor did, but for one that
-- is ahead of the clock by more than 10 s: that clock was set back. One that was deleted meanwhile stays deleted; one
-- that was defined anew is due at once, for the leader to look at it again.
--
-- include: now_us

local moved, ahead = 0, now_us() + 10000000
for i = 2, #KEYS do
  local at, entry = (i - 2) * 4, KEYS[i]
  local through, meta, due, digest = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local held = redis.call('HMGET', entry, 'definition', 'through')
  local before = tonumber(held[2] or 0)
  if held[1] and (through == '0' or before < tonumber(through) or before > ahead) then
    if through ~= '0' then redis.call('HSET', entry, 'through', through) end
    if meta ~= '' then redis.call('HSET', entry, 'meta', meta) end
    redis.call('ZADD', KEYS[1], redis.sha1hex(held[1]) == digest and due or 0, entry)
    moved = moved + 1
  end
end
return moved
