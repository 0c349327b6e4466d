-- An inbox is ordered by priority step, then receipt: exact in a double up to step 31.

local function score(step, receipt)
  return tonumber(step) * 281474976710656 + receipt -- 2^48
end
