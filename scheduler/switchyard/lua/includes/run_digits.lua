-- The first 9 digits of the server process's run_id: another process has others.

local function run_digits()
  return string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 9)
end
