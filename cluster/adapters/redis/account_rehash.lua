-- Replace a password hash if nobody else did. KEYS: account. ARGV: old hash, new hash
local stored = redis.call('HGET', KEYS[1], 'password_hash')
if stored ~= ARGV[1] and stored ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'password_hash', ARGV[2])
return 1
