-- Members of a sorted set from a place on, one at least and as many as `most` and `bytes` allow, and the bytes that
-- are left; none of a key of another type, which only a stranger made. `command` is ZRANGE or ZREVRANGE. Pages grow
-- only while members are small: how long one is, nobody knows before it is read.

local function members_within(command, set, at, most, bytes)
  local found, page, largest = {}, 1, 1
  while #found < most and bytes > 0 do
    local from = at + #found
    local members = redis.pcall(command, set, from, from + math.min(page, most - #found) - 1)
    if members.err or #members == 0 then break end
    for _, member in ipairs(members) do
      found[#found + 1] = member
      bytes = bytes - #member
      largest = math.max(largest, #member)
    end
    page = math.max(1, math.min(2 * page, 64, math.floor(bytes / largest)))
  end
  return found, bytes
end
