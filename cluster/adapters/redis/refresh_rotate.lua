-- Use a refresh token up and put its successor in its place; a second use ends the family.
-- A family names its one good token; used tokens stay until they expire, so that they are known again.
-- KEYS: token, successor. ARGV: token hash, successor hash, now, successor's end, ttl ms, prefix of family keys,
--   seconds in which the same call may come again, prefix of users' marks (refresh_end.lua)
-- Returns a word, the user, the family, and when it began.
local stored = redis.call('HMGET', KEYS[1], 'family', 'expires_at')
if not stored[1] or tonumber(ARGV[3]) >= tonumber(stored[2]) then return {'token_invalid', '', '', ''} end
local key = ARGV[6] .. stored[1]
local family = redis.call('HMGET', key, 'user_id', 'current', 'started_at', 'rotated_at')
if not family[1] then return {'token_invalid', '', '', ''} end
local started_at = family[3] or '0'
local ended = redis.call('GET', ARGV[8] .. family[1])
if ended and tonumber(started_at) < tonumber(ended) then
  redis.call('DEL', key)
  return {'token_revoked', '', '', ''}
end
if family[2] == ARGV[2] and tonumber(ARGV[3]) - tonumber(family[4] or '0') <= tonumber(ARGV[7]) then
  return {'ok', family[1], stored[1], started_at} -- this very call, sent twice
end
if family[2] ~= ARGV[1] then
  redis.call('DEL', key)
  return {'reused', family[1], stored[1], started_at}
end
redis.call('HSET', key, 'current', ARGV[2], 'rotated_at', ARGV[3])
redis.call('PEXPIRE', key, ARGV[5])
redis.call('HSET', KEYS[2], 'family', stored[1], 'expires_at', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {'ok', family[1], stored[1], started_at}
