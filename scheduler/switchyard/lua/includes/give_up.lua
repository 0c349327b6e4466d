-- Too many died with this entry: it is buried, and some node is to tell its callers.
--
-- include: bury_entry, deaths_in

local function give_up(dead, unannounced, events, counters, prefix, receipt, entry, lines, name, now)
  local reason = deaths_in(lines) .. ' nodes or pool processes died holding it'
  bury_entry(dead, events, counters, prefix, receipt, entry, lines, reason, name, now)
  redis.call('SADD', unannounced, receipt)
end
