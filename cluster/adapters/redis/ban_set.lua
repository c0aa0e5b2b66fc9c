-- Ban a user, and put the ban on the list; unless a former ban lasts as long or longer, if so asked.
-- KEYS: the ban, the list. ARGV: reason, milliseconds ("": until it is lifted), user id, 1: unless
local left = redis.call('PTTL', KEYS[1]) -- -1: it has no end; -2: there is none
local for_ms = ARGV[2] ~= '' and tonumber(ARGV[2])
if ARGV[4] == '1' and (left == -1 or (for_ms and left >= for_ms)) then return end
if for_ms then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + for_ms), ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('ZADD', KEYS[2], '+inf', ARGV[3])
end
