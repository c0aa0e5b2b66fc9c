-- A session actor is ready: its load is what the store says it holds.
-- ARGV: namespace, actor, epoch
local ns, actor, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
redis.call('ZADD', ns .. ':session-actors', redis.call('SCARD', ns .. ':actor:' .. actor .. ':sessions'), actor)
return 'ok'
