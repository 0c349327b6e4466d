-- Whether a task waits on one of these lists.

local function any_waits(lists, first, last)
  for i = first, last do
    if redis.call('LLEN', lists[i]) > 0 then return true end
  end
  return false
end
