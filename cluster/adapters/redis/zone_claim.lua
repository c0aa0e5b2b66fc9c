-- A zone's arrivals become its entities. Returns entity, record, ... of them, and of those whose claim was not answered.
-- `claimed` has the write that claimed an entity, until a claim says that its answer arrived; `transfers` has what brought it here.
-- KEYS: epoch, written, entities, transfers, arrivals, claimed. ARGV: epoch, number, that of the last claim whose answer arrived
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
local epoch, number = string.match(redis.call('HGET', KEYS[2], 'entities') or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] and tonumber(number) > tonumber(ARGV[2]) then return 'late' end
redis.call('HSET', KEYS[2], 'entities', ARGV[1] .. '.' .. ARGV[2])

local found = {}
local before = redis.call('HGETALL', KEYS[6])
for i = 1, #before, 2 do
  local by, at = string.match(before[i + 1], '^(%d+)%.(%d+)$')
  local record = by == ARGV[1] and tonumber(at) > tonumber(ARGV[3]) and redis.call('HGET', KEYS[3], before[i])
  if record then
    found[#found + 1] = before[i]
    found[#found + 1] = record
  else
    redis.call('HDEL', KEYS[6], before[i])
  end
end

local arrivals = redis.call('HGETALL', KEYS[5])
for i = 1, #arrivals, 2 do
  local entity = arrivals[i]
  local transfer, record = string.match(arrivals[i + 1], '^(%d+):(.*)$')
  if tonumber(redis.call('HGET', KEYS[4], entity) or '-1') < tonumber(transfer) then
    redis.call('HSET', KEYS[3], entity, record)
    redis.call('HSET', KEYS[4], entity, transfer)
    redis.call('HSET', KEYS[6], entity, ARGV[1] .. '.' .. ARGV[2])
    found[#found + 1] = entity
    found[#found + 1] = record
  end
end
redis.call('DEL', KEYS[5])
return found
