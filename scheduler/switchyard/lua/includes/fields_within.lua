-- How many fields of a hash of entries a scan may read for so many bytes, one at least, going by some of them.

local function fields_within(hash, most, bytes)
  local sample, length = redis.call('HRANDFIELD', hash, 10), 0
  for _, field in ipairs(sample) do
    length = length + redis.call('HSTRLEN', hash, field)
  end
  local mean = math.max(length / math.max(#sample, 1), 1)
  return math.max(1, math.min(most, math.floor(bytes / mean)))
end
