-- Count a guess of a name's password, unless the name is locked. Returns the microseconds to wait, 0 if it may be judged.
-- KEYS: known addresses, the count of strangers, the count of this address.
-- ARGV: address, failures, lock us, longest lock us, how long an address is known us
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local seen = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -math.huge)
local key = seen > now - tonumber(ARGV[5]) and KEYS[3] or KEYS[2]
local most, first, longest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function lock(failures)
  if failures < most then return 0 end
  return math.min(first * 2 ^ math.min(failures - most, 32), longest)
end
local stored = redis.call('HMGET', key, 'failures', 'since')
local failures = tonumber(stored[1] or 0)
-- Not later than now: the clock may have gone back.
local since = math.min(tonumber(stored[2] or now), now)
local wait = since + lock(failures) - now
if wait > 0 then return string.format('%.0f', wait) end
failures = failures + 1
redis.call('HSET', key, 'failures', failures, 'since', string.format('%.0f', now))
redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((failures * longest + lock(failures)) / 1000)))
return '0'
