-- A zone's checkpoint. KEYS: epoch, places. ARGV: epoch, data
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 'fenced' end
redis.call('SET', KEYS[2], ARGV[2])
return 'ok'
