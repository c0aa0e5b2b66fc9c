-- Let a user into a private channel. Returns 'ok', 'no_such_channel' or 'too_many'.
-- ARGV: namespace, channel in hex, user, most
local record, invited = ARGV[1] .. ':chat-channel:' .. ARGV[2], ARGV[1] .. ':chat-invited:' .. ARGV[2]
local left = redis.call('PTTL', record)
if left < 0 then return 'no_such_channel' end
if redis.call('SISMEMBER', invited, ARGV[3]) == 0 then
  if redis.call('SCARD', invited) >= tonumber(ARGV[4]) then return 'too_many' end
  redis.call('SADD', invited, ARGV[3])
end
redis.call('PEXPIRE', invited, left)
return 'ok'
