-- Keep records alive, repair the actor's index, and set its load to what it really holds. Returns the ids that are gone.
-- ARGV: namespace, actor, epoch, ttl ms, id...
local ns, actor, epoch, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
local mine = ns .. ':actor:' .. actor .. ':sessions'
local gone = {}
for i = 5, #ARGV do
  if redis.call('PEXPIRE', ns .. ':session:' .. ARGV[i], ttl) == 0 then
    gone[#gone + 1] = ARGV[i]
    redis.call('ZREM', ns .. ':online', ARGV[i])
  end
end
-- Placed on this actor but never attached, and expired by now: nobody else would ever remove these.
for _, id in ipairs(redis.call('SMEMBERS', mine)) do
  if redis.call('EXISTS', ns .. ':session:' .. id) == 0 then redis.call('SREM', mine, id) end
end
redis.call('ZADD', ns .. ':session-actors', redis.call('SCARD', mine), actor)
return gone
