-- Note when a user was online last, and as whom. KEYS: profile. ARGV: now, name or ''
local known = redis.call('HGET', KEYS[1], 'last_online')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'last_online', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'name', ARGV[2]) end
return 1
