-- Find a session, or place a new one on the least loaded actor. Keys are derived from the namespace, so one server (no Redis Cluster).
-- ARGV: namespace, wanted session or '', new session id, user id, sessions per user, sessions per actor, ttl ms, now
local ns, wanted, fresh, user = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local per_user, per_actor, ttl, now = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

if redis.call('EXISTS', ns .. ':ban:user:' .. user) == 1 then return {'banned', '', '0'} end

if wanted ~= '' then
  local known = redis.call('HMGET', ns .. ':session:' .. wanted, 'user_id', 'actor')
  if known[1] then
    if known[1] ~= user then return {'not_yours', '', '0'} end
    return {wanted, known[2], '0'}
  end
end

-- The call may be repeated over a broken connection: the session it placed must not count against its own user.
local placed = redis.call('HGET', ns .. ':session:' .. fresh, 'actor')
if placed then return {fresh, placed, '1'} end

-- An expired record leaves its entry in the user's index behind: repair it here, where it would cost the user a session.
local mine = ns .. ':user:' .. user .. ':sessions'
for _, id in ipairs(redis.call('SMEMBERS', mine)) do
  if redis.call('EXISTS', ns .. ':session:' .. id) == 0 then redis.call('SREM', mine, id) end
end
if redis.call('SCARD', mine) >= per_user then return {'too_many', '', '0'} end

local actors = ns .. ':session-actors'
local least = redis.call('ZRANGE', actors, 0, 0, 'WITHSCORES')
if #least == 0 or tonumber(least[2]) >= per_actor then return {fresh, '', '1'} end
local actor = least[1]
local key = ns .. ':session:' .. fresh
redis.call('HSET', key, 'session_id', fresh, 'user_id', user, 'actor', actor, 'state', 'connected',
  'connected_at', now, 'last_activity', now)
redis.call('PEXPIRE', key, ttl)
redis.call('SADD', mine, fresh)
redis.call('SADD', ns .. ':actor:' .. actor .. ':sessions', fresh)
redis.call('ZINCRBY', actors, 1, actor)
return {fresh, actor, '1'}
