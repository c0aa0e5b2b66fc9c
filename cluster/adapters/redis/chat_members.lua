-- Some of the sessions that listen to a channel: the next cursor, then session and 'user name' of each.
-- ARGV: namespace, channel in hex, cursor, about how many
local ns, members = ARGV[1], ARGV[1] .. ':chat-members:' .. ARGV[2]
local page = redis.call('HSCAN', members, ARGV[3], 'COUNT', ARGV[4])
local found = {page[1]}
for i = 1, #page[2], 2 do
  local session = ns .. ':session:' .. page[2][i]
  if redis.call('EXISTS', session) == 0 then
    redis.call('HDEL', members, page[2][i])
  elseif redis.call('HGET', session, 'status') ~= 'invisible' then
    found[#found + 1] = page[2][i]
    found[#found + 1] = page[2][i + 1]
  end
end
return found
