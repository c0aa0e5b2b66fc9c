-- End the family of a token. KEYS: token. ARGV: prefix of family keys
local family = redis.call('HGET', KEYS[1], 'family')
if family then redis.call('DEL', ARGV[1] .. family) end
return 'ok'
