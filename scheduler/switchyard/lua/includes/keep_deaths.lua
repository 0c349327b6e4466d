-- The counts of deaths are kept for a day after the last one.

local function keep_deaths(deaths)
  redis.call('PEXPIRE', deaths, 86400000)
end
