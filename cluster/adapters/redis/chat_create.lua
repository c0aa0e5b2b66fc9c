-- Make a channel's record, unless there is one. Returns 'ok', 'taken' or 'too_many'.
-- ARGV: namespace, channel in hex, owner or '', private ('1' or '0'), slow_s, created_at, most of one owner, record ttl ms
local ns, channel, owner = ARGV[1], ARGV[2], ARGV[3]
local record, owned = ns .. ':chat-channel:' .. channel, ns .. ':user:' .. owner .. ':channels'
local known = redis.call('HMGET', record, 'owner', 'private', 'slow_s', 'created_at')
if known[1] then
  local same = known[1] == owner and known[2] == ARGV[4] and known[3] == ARGV[5] and known[4] == ARGV[6]
  return same and 'ok' or 'taken'
end
if owner ~= '' then
  -- What is said in an owner's channel is not for who was there before, unseen or not. Whoever joins writes itself down first.
  local members, cursor = ns .. ':chat-members:' .. channel, '0'
  repeat
    local page = redis.call('HSCAN', members, cursor, 'COUNT', 200)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if redis.call('EXISTS', ns .. ':session:' .. page[2][i]) == 1 then return 'taken' end
      redis.call('HDEL', members, page[2][i])
    end
  until cursor == '0'
  -- Records end by themselves: those that did do not count.
  for _, other in ipairs(redis.call('SMEMBERS', owned)) do
    if redis.call('EXISTS', ns .. ':chat-channel:' .. other) == 0 then redis.call('SREM', owned, other) end
  end
  if redis.call('SCARD', owned) >= tonumber(ARGV[7]) then return 'too_many' end
  redis.call('SADD', owned, channel)
  redis.call('PEXPIRE', owned, string.format('%.0f', math.max(redis.call('PTTL', owned), tonumber(ARGV[8]))))
end
redis.call('DEL', ns .. ':chat-invited:' .. channel)
redis.call('HSET', record, 'owner', owner, 'private', ARGV[4], 'slow_s', ARGV[5], 'created_at', ARGV[6])
redis.call('PEXPIRE', record, ARGV[8])
return 'ok'
