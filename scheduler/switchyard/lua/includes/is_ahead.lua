-- Whether a deadline is wrong, because it is ahead of now by more than a lease beyond its own: the clock was set
-- back since (invariant 6). `lease` is that of the node whose deadline it is, in ms, or nil if it does not say.

local function is_ahead(deadline, lease, now)
  return tonumber(lease) ~= nil and deadline > now + 2 * tonumber(lease)
end
