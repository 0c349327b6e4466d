-- The newest receipts of a fenced node's claims, newest first, `most` at most; none while they are being put in order.
--
-- Few are sorted as they are. To sort many again for each step would cost more than the steps: they are listed by
-- receipt in `order` first, some at a time. The scan's cursor is in the node's hash, with the epoch that it is for;
-- nobody changes the claims of a fenced node but those who reap it, and they wait for its end.
--
-- include: fields_within

local function newest_claims(node, claims, order, most, bytes)
  if redis.call('EXISTS', order) == 0 and redis.call('HLEN', claims) <= most then
    local receipts = redis.call('HKEYS', claims)
    table.sort(receipts, function(a, b) return tonumber(a) > tonumber(b) end)
    return receipts
  end
  local held = redis.call('HMGET', node, 'fenced', 'ordered', 'ordered for')
  local epoch = held[1] or ''
  local cursor = held[3] == epoch and held[2] or ''
  if cursor == 'all' then
    if redis.call('EXISTS', order) == 1 then return redis.call('ZREVRANGE', order, 0, most - 1) end
    cursor = ''
  end
  if cursor == '' then
    redis.call('DEL', order)
    cursor = '0'
  end
  local scan = redis.call('HSCAN', claims, cursor, 'COUNT', fields_within(claims, most, bytes))
  local ranked = {}
  for i = 1, #scan[2], 2 do
    ranked[i], ranked[i + 1] = scan[2][i], scan[2][i]
  end
  if #ranked > 0 then redis.call('ZADD', order, unpack(ranked)) end
  redis.call('HSET', node, 'ordered', scan[1] == '0' and 'all' or scan[1], 'ordered for', epoch)
  return {}
end
