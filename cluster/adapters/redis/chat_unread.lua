-- A user's unread messages after a place, oldest first: the place to go on from (0: there are no more), then id, params, id, params...
-- ARGV: namespace, user, how many, place (0: from the oldest)
local order, kept = ARGV[1] .. ':chat-inbox:' .. ARGV[2], ARGV[1] .. ':chat-unread:' .. ARGV[2]
local time, most = redis.call('TIME'), tonumber(ARGV[3])
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, id in ipairs(redis.call('ZRANGE', order, '-inf', now, 'BYSCORE')) do
  redis.call('HDEL', kept, id)
  redis.call('ZREM', order, id)
end
-- Scores differ, and grow as messages come (chat_keep.lua), so a score is a place also when its message was read meanwhile.
local page = redis.call('ZRANGE', order, '(' .. ARGV[4], '+inf', 'BYSCORE', 'LIMIT', 0, most + 1, 'WITHSCORES')
local found = {#page > 2 * most and most > 0 and page[2 * most] or '0'}
for i = 1, math.min(#page, 2 * most), 2 do
  found[#found + 1] = page[i]
  found[#found + 1] = redis.call('HGET', kept, page[i])
end
return found
