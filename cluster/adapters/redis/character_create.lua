-- Make a character unless its name is taken or its user has enough. The same character again is fine.
-- KEYS: character, name index, the user's set. ARGV: character id, limit, field, value, ...
local holder = redis.call('GET', KEYS[2])
if holder == ARGV[1] then return 'ok' end
if holder then return 'name_taken' end
if redis.call('SCARD', KEYS[3]) >= tonumber(ARGV[2]) then return 'too_many_characters' end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 'ok'
