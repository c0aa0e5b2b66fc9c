-- A user has read messages. Returns how many of them were unread.
-- ARGV: namespace, user, message ids...
local order, kept = ARGV[1] .. ':chat-inbox:' .. ARGV[2], ARGV[1] .. ':chat-unread:' .. ARGV[2]
local read = 0
for i = 3, #ARGV do
  redis.call('HDEL', kept, ARGV[i])
  read = read + redis.call('ZREM', order, ARGV[i])
end
return read
