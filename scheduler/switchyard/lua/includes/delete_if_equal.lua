-- Deletes a key if it still has this value: 1 if it had, else 0. What is another's by now stays.

local function delete_if_equal(key, value)
  if redis.call('GET', key) ~= value then return 0 end
  return redis.call('DEL', key)
end
