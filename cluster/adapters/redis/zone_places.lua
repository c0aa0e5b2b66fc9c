-- A zone's checkpoint, unless a later one of this incarnation has been here. KEYS: epoch, written, places. ARGV: epoch, number, data
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
local epoch, number = string.match(redis.call('HGET', KEYS[2], 'places') or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] and tonumber(number) > tonumber(ARGV[2]) then return 'late' end
redis.call('HSET', KEYS[2], 'places', ARGV[1] .. '.' .. ARGV[2])
redis.call('SET', KEYS[3], ARGV[3])
return 'ok'
