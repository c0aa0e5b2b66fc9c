-- A user's unread messages, oldest first: id, params, id, params...
-- ARGV: namespace, user, how many
local order, kept = ARGV[1] .. ':chat-inbox:' .. ARGV[2], ARGV[1] .. ':chat-unread:' .. ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, id in ipairs(redis.call('ZRANGE', order, '-inf', now, 'BYSCORE')) do
  redis.call('HDEL', kept, id)
  redis.call('ZREM', order, id)
end
local found = {}
for _, id in ipairs(redis.call('ZRANGE', order, 0, tonumber(ARGV[3]) - 1)) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', kept, id)
end
return found
