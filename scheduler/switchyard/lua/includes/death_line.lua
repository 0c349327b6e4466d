-- What is kept of a node's death against one of its claims (invariant 8): nothing if its time had not come, a doubt
-- if the node's last heartbeat knew it and it did not run, else a death. `running` has the receipts that ran then,
-- `known` is the newest receipt of that time, or nil if the node does not say.
--
-- include: eta_of

local function death_line(name, receipt, message, running, known, now)
  if eta_of(message) > now then return '' end
  if known and tonumber(receipt) <= known and not running[receipt] then return ' ' .. name .. '\r' end
  return name .. '\n'
end
