-- Use a refresh token up and put its successor in its place; a second use ends the family.
-- A family names its one good token; used tokens stay until they expire, so that they are known again.
-- KEYS: token, successor. ARGV: token hash, successor hash, now, successor's end, ttl ms, prefix of family keys
local stored = redis.call('HMGET', KEYS[1], 'family', 'expires_at')
if not stored[1] or tonumber(ARGV[3]) >= tonumber(stored[2]) then return {'token_invalid', ''} end
local key = ARGV[6] .. stored[1]
local family = redis.call('HMGET', key, 'user_id', 'current')
if not family[1] then return {'token_invalid', ''} end
if family[2] == ARGV[2] then return {'ok', family[1]} end -- this very call, sent twice
if family[2] ~= ARGV[1] then
  redis.call('DEL', key)
  return {'reused', family[1]}
end
redis.call('HSET', key, 'current', ARGV[2])
redis.call('PEXPIRE', key, ARGV[5])
redis.call('HSET', KEYS[2], 'family', stored[1], 'expires_at', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {'ok', family[1]}
