-- Take back a guess that was not judged: one failure less, and no lock from now on.
-- KEYS: known addresses, the count of strangers, the count of this address.
-- ARGV: address, failures, lock us, longest lock us, how long an address is known us
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local seen = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -math.huge)
local key = seen > now - tonumber(ARGV[5]) and KEYS[3] or KEYS[2]
local failures = tonumber(redis.call('HGET', key, 'failures') or 0) - 1
if failures < 1 then return redis.call('DEL', key) end
local most, first, longest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local locked = 0
if failures >= most then locked = math.min(first * 2 ^ math.min(failures - most, 32), longest) end
redis.call('HSET', key, 'failures', failures, 'since', string.format('%.0f', now - locked))
return 1
