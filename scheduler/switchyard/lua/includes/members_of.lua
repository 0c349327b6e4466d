-- Members of a sorted set; none if the key is of another type, which only a stranger made.

local function members_of(key, from, to)
  local members = redis.pcall('ZRANGE', key, from, to)
  return members.err and {} or members
end
