-- Change a channel's record. Returns owner, private, slow_s, created_at; nothing if there is no such record; 'too_many'.
-- ARGV: namespace, channel in hex, private ('1', '0' or ''), slow_s or '', most that may be invited
local ns, channel, private = ARGV[1], ARGV[2], ARGV[3]
local record = ns .. ':chat-channel:' .. channel
if redis.call('EXISTS', record) == 0 then return {} end
if private == '1' and redis.call('HGET', record, 'private') ~= '1' then
  -- Whoever is in it goes on hearing it, so all of them are invited, or it does not become private.
  local members, invited = ns .. ':chat-members:' .. channel, ns .. ':chat-invited:' .. channel
  local owner, room = redis.call('HGET', record, 'owner'), tonumber(ARGV[5]) - redis.call('SCARD', invited)
  local new, seen, cursor = {}, {}, '0'
  repeat
    local page = redis.call('HSCAN', members, cursor, 'COUNT', 200)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local user = string.match(page[2][i + 1], '^%S+')
      if redis.call('EXISTS', ns .. ':session:' .. page[2][i]) == 0 then
        redis.call('HDEL', members, page[2][i])
      elseif user ~= owner and not seen[user] and redis.call('SISMEMBER', invited, user) == 0 then
        seen[user] = true
        new[#new + 1] = user
        if #new > room then return {'too_many'} end
      end
    end
  until cursor == '0'
  for _, user in ipairs(new) do redis.call('SADD', invited, user) end
  local left = redis.call('PTTL', record)
  if left > 0 then redis.call('PEXPIRE', invited, left) end
end
if private ~= '' then redis.call('HSET', record, 'private', private) end
if ARGV[4] ~= '' then redis.call('HSET', record, 'slow_s', ARGV[4]) end
return redis.call('HMGET', record, 'owner', 'private', 'slow_s', 'created_at')
