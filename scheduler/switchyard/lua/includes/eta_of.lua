-- Before when a task does not start, in ms since the epoch, as the headers of its message say in Celery's way:
-- "eta": "2026-01-31T12:00:00.123+00:00"; 0 if it may start at once, or if that can't be read.

local function eta_of(message)
  local _, last = string.find(message, '"eta":', 1, true)
  if not last then return 0 end
  local date = '^ ?"(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)[%d.]*([^"]*)"'
  local year, month, day, hour, minute, second, zone = string.match(string.sub(message, last + 1, last + 40), date)
  if not year then return 0 end
  local sign, ahead, past = string.match(zone, '^([+-])(%d%d):(%d%d)$')
  if not sign and zone ~= 'Z' then return 0 end
  -- Days since the epoch, by years that begin in March, so that a leap day is a year's last.
  year, month = tonumber(year), tonumber(month)
  if month <= 2 then year, month = year - 1, month + 12 end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * (month - 3) + 2) / 5) + tonumber(day) - 719469
  local offset = sign and (tonumber(ahead) * 60 + tonumber(past)) * (sign == '-' and -1 or 1) or 0
  return (days * 1440 + tonumber(hour) * 60 + tonumber(minute) - offset) * 60000 + tonumber(second) * 1000
end
