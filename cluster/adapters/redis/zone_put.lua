-- Store an entity, unless a later write of it has been here. KEYS: epoch, entities, order of writes. ARGV: epoch, number, entity, data
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 'fenced' end
-- A write that its sender gave up may run late, as when the server stood still: it must not undo what came after it.
local epoch, number = string.match(redis.call('HGET', KEYS[3], ARGV[3]) or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] and tonumber(number) > tonumber(ARGV[2]) then return 'late' end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[1] .. '.' .. ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return 'ok'
