-- Delete a session record and its index entries.
-- ARGV: namespace, actor, epoch, session id
local ns, actor, epoch, id = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
local key = ns .. ':session:' .. id
local old = redis.call('HMGET', key, 'user_id', 'gateway_id', 'actor')
if old[1] and old[3] ~= actor then return 'fenced' end
redis.call('ZREM', ns .. ':online', id)
if redis.call('SREM', ns .. ':actor:' .. actor .. ':sessions', id) == 1 then
  redis.call('ZINCRBY', ns .. ':session-actors', -1, actor)
end
if not old[1] then return 'ok' end
redis.call('SREM', ns .. ':user:' .. old[1] .. ':sessions', id)
if old[2] and old[2] ~= '' then redis.call('SREM', ns .. ':gateway:' .. old[2] .. ':sessions', id) end
redis.call('DEL', key)
return 'ok'
