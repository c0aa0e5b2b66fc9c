-- Write where a character is. A deleted one must not come back as a hash of five fields.
-- KEYS: character. ARGV: field, value, ...
if redis.call('EXISTS', KEYS[1]) == 0 then return 'not_found' end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 'ok'
