-- Delete a character that is theirs and in no live session.
-- KEYS: character, name index, the user's set. ARGV: character id, user id, prefix of session keys
local stored = redis.call('HMGET', KEYS[1], 'user_id', 'session')
if stored[1] ~= ARGV[2] then return 'not_found' end
if stored[2] ~= '' and redis.call('EXISTS', ARGV[3] .. stored[2]) == 1 then return 'in_world' end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return 'ok'
