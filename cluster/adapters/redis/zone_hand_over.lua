-- Entities to another zone's arrivals (`transfer:record`), those that are still here.
-- KEYS: epoch, written, entities, transfers, zone of sessions, the other's epoch, written, arrivals
-- ARGV: epoch, number, other zone, entity, session, transfer, record, ...
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
local epoch, number = string.match(redis.call('HGET', KEYS[2], 'entities') or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] then
  if tonumber(number) > tonumber(ARGV[2]) then return 'late' end
  if number == ARGV[2] then return 'ok' end -- this very call, sent twice
end
local owner = redis.call('GET', KEYS[6])
if owner and redis.call('HGET', KEYS[7], 'entities') == owner .. '.9007199254740991' then return 'discarded' end
redis.call('HSET', KEYS[2], 'entities', ARGV[1] .. '.' .. ARGV[2])

for i = 4, #ARGV, 4 do
  local entity, session, transfer = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  -- One that came back by a later transfer is not what was handed over then.
  local came = tonumber(redis.call('HGET', KEYS[4], entity) or '-1')
  if came < transfer and redis.call('HDEL', KEYS[3], entity) == 1 then
    local there = string.match(redis.call('HGET', KEYS[8], entity) or '', '^(%d+):')
    if not there or tonumber(there) < transfer then
      redis.call('HSET', KEYS[8], entity, ARGV[i + 2] .. ':' .. ARGV[i + 3])
    end
    redis.call('HDEL', KEYS[4], entity)
    if session ~= '' then redis.call('HSET', KEYS[5], session, ARGV[3]) end
  end
end
return 'ok'
