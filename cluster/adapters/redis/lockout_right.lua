-- The password was right: the guess's count begins anew, the address is known.
-- KEYS: known addresses, the count of strangers, the count of this address. ARGV: address, known ones at most, for how long us
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local seen = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -math.huge)
redis.call('DEL', seen > now - tonumber(ARGV[3]) and KEYS[3] or KEYS[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[3]) / 1000))
return 1
