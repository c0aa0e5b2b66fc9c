-- Remember that a message was deleted. Returns 1 if that is new.
-- ARGV: namespace, topic in hex, message id, most, ttl ms
local deleted = ARGV[1] .. ':chat-deleted:' .. ARGV[2]
local time = redis.call('TIME')
local added = redis.call('ZADD', deleted, 'NX', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), ARGV[3])
redis.call('ZREMRANGEBYRANK', deleted, 0, -1 - tonumber(ARGV[4]))
redis.call('PEXPIRE', deleted, ARGV[5])
return added
