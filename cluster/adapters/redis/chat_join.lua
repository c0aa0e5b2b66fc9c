-- A session listens to a channel.
-- ARGV: namespace, channel in hex, session, user, name, ttl ms
local ns, members = ARGV[1], ARGV[1] .. ':chat-members:' .. ARGV[2]
redis.call('HSET', members, ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
redis.call('PEXPIRE', members, ARGV[6])
-- Sessions end without leaving. Each one that comes looks at a few, so that those who are gone stay the smaller part.
for _, other in ipairs(redis.call('HRANDFIELD', members, 4)) do
  if other ~= ARGV[3] and redis.call('EXISTS', ns .. ':session:' .. other) == 0 then redis.call('HDEL', members, other) end
end
