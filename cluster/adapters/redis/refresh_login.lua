-- The login that a token came of, if it has not ended. KEYS: token. ARGV: prefix of family keys
-- Returns the user, the family, and when it began; false: there is none.
local id = redis.call('HGET', KEYS[1], 'family')
if not id then return false end
local family = redis.call('HMGET', ARGV[1] .. id, 'user_id', 'started_at')
if not family[1] then return false end
return {family[1], id, family[2] or '0'}
