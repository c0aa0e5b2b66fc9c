-- Take one from a bucket (GCRA). Returns the microseconds to wait, 0 if it was taken.
-- KEYS: when the bucket will be full again, microseconds. ARGV: microseconds in which one comes back, burst
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
-- Never more than an empty bucket: the clock may have gone back, or the limit may have changed.
local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + burst * interval)
local wait = full_at - now - (burst - 1) * interval
if wait > 0 then return wait end
full_at = full_at + interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
