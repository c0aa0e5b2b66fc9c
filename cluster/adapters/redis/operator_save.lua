-- Put a record in the place of another one, unless somebody changed that meanwhile. The same again is fine.
-- KEYS: operators. ARGV: name, what is there ('' for nothing), what shall be ('' for nothing), most operators
local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if there == ARGV[3] and there ~= '' then return 'ok' end
if there ~= ARGV[2] then return 'changed' end
if ARGV[3] == '' then return redis.call('HDEL', KEYS[1], ARGV[1]) == 1 and 'ok' or 'changed' end
if there == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'too_many' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
