-- Puts messages of one queue, priority and selector where they will run soonest: as many into the inboxes of the
-- candidates as these may take, best candidate first, the rest to their home, the shared queue or a wait list,
-- where whichever node is free first claims them.
--
-- KEYS  1 nodes  2 home  3 idle set of the queue  4 seq  5 waiting  6 queues  7 counters
--       then the lists whose tasks go before these, then node, inbox, claims, bell of each candidate
-- ARGV  1 priority step  2 '1' if bounded by the nodes' limits  3 prefix of our keys  4 queue
--       5 how many lists go before  6 how many candidates  7 strategy to count them under,
--       then the candidates' names, then the messages, 200 at most
-- Returns {number of the last candidate that got one or 0, its outstanding then, how many went to their home}.
--
-- Invariant 1: each message is written once, to one place. Invariant 2: a bounded placement leaves no node
-- with outstanding > limit. Invariant 5: nothing overtakes what waits on the lists before it.
--
-- include: place_messages

return place_messages(KEYS, ARGV, {unpack(ARGV, 8 + tonumber(ARGV[6]))})
