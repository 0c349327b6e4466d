-- The layout of the cluster. One where an epoch was given out and that has no number was made by the first
-- versions, which wrote none: layout 1. One without either is new: it gets `ours`.

local function layout_of(layout, epoch, ours)
  local number = redis.call('GET', layout)
  if number then return number end
  number = redis.call('EXISTS', epoch) == 1 and '1' or ours
  redis.call('SET', layout, number)
  return number
end
