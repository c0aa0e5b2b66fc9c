-- A page of the bans that hold.
-- KEYS: the list. ARGV: what comes before a user id in a ban's key, offset, limit
-- Returns {how many there are, flat list of user id, reason, milliseconds left (-1: it has no end)}.
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
local offset, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local found = {}
while #found < 3 * limit do
  local user = redis.call('ZRANGE', KEYS[1], offset + #found / 3, offset + #found / 3)[1]
  if not user then break end
  local reason = redis.call('GET', ARGV[1] .. user)
  if reason then
    found[#found + 1], found[#found + 2], found[#found + 3] = user, reason, redis.call('PTTL', ARGV[1] .. user)
  else
    redis.call('ZREM', KEYS[1], user)
  end
end
return { redis.call('ZCARD', KEYS[1]), found }
