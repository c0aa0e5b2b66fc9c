-- The map and the plan, unless a later write of this supervisor has been here. KEYS: epoch, world. ARGV: epoch, number, map, plan
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
local epoch, number = string.match(redis.call('HGET', KEYS[2], 'written') or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] and tonumber(number) > tonumber(ARGV[2]) then return 'late' end
redis.call('HSET', KEYS[2], 'map', ARGV[3], 'plan', ARGV[4], 'written', ARGV[1] .. '.' .. ARGV[2])
return 'ok'
