-- End a ban whose reason begins so. Returns how many there were.
-- KEYS: the ban, the list. ARGV: the beginning of the reason, user id
local reason = redis.call('GET', KEYS[1])
if not reason or string.sub(reason, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
return redis.call('DEL', KEYS[1])
