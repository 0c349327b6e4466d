-- An entry is what an inbox or a claim holds: the list that the message came from, its home, and the message as
-- kombu wrote it. It is "<length of home>:<home><message>", so that returning a task needs no parsing of the message.
-- Of a task that was acknowledged when it started the node keeps an entry without a home: see is_acknowledged.

local function pack_entry(home, message)
  return #home .. ':' .. home .. message
end
