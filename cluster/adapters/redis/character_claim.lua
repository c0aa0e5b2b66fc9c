-- Take a character for a session, also from a session whose record is gone. Returns the hash, or a word.
-- KEYS: character. ARGV: user id, session id, prefix of session keys
local stored = redis.call('HMGET', KEYS[1], 'user_id', 'session')
if stored[1] ~= ARGV[1] then return 'not_found' end
if stored[2] ~= ARGV[2] then
  if stored[2] ~= '' and redis.call('EXISTS', ARGV[3] .. stored[2]) == 1 then return 'in_world' end
  redis.call('HSET', KEYS[1], 'session', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'session_epoch', 1)
end
return redis.call('HGETALL', KEYS[1])
