-- Keep a message for a user until it is read.
-- ARGV: namespace, user, message id, params, most, ttl ms
local order, kept = ARGV[1] .. ':chat-inbox:' .. ARGV[2], ARGV[1] .. ':chat-unread:' .. ARGV[2]
if redis.call('HEXISTS', kept, ARGV[3]) == 1 then return end
local time = redis.call('TIME')
local ends = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[6])
-- Scores are the times at which messages end, and order them as they came, also two of one millisecond.
local last = redis.call('ZRANGE', order, -1, -1, 'WITHSCORES')
if last[2] then ends = math.max(ends, tonumber(last[2]) + 1) end
redis.call('ZADD', order, ends, ARGV[3])
redis.call('HSET', kept, ARGV[3], ARGV[4])
local over = redis.call('ZCARD', order) - tonumber(ARGV[5])
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', order, 0, over - 1)) do redis.call('HDEL', kept, id) end
  redis.call('ZREMRANGEBYRANK', order, 0, over - 1)
end
redis.call('PEXPIREAT', order, ends)
redis.call('PEXPIREAT', kept, ends)
