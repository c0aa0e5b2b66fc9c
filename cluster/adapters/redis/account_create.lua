-- Make an account unless its name is taken. The same account again is fine: the command may be sent twice.
-- KEYS: account, username index. ARGV: user id, field, value, ...
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return 'username_taken' end
if not owner then
  redis.call('SET', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
end
return 'ok'
