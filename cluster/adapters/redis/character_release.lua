-- Let go of a character, if this session holds it. KEYS: character. ARGV: session id
if redis.call('HGET', KEYS[1], 'session') == ARGV[1] then redis.call('HSET', KEYS[1], 'session', '') end
return 'ok'
