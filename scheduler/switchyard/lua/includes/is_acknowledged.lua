-- Whether a claim is only of a task that runs, whose message is settled already: it goes nowhere.

local function is_acknowledged(entry)
  return entry == '0:'
end
