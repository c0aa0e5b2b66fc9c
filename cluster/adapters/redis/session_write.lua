-- Replace a session record and its index entries, if the writer still owns it and the transition is legal.
-- A write that its sender gave up may run late, as when the server stood still: it must not undo what came after it.
-- ARGV: namespace, actor, epoch, session id, ttl ms, number of the write, number of legal source states, those states..., field, value, ...
local ns, actor, epoch, id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
local key = ns .. ':session:' .. id
local old = redis.call('HMGET', key, 'state', 'gateway_id', 'actor', 'written')
if not old[1] then return 'gone' end
if old[3] ~= actor then return 'fenced' end
local written = ARGV[3] .. '.' .. ARGV[6]
local old_epoch, number = string.match(old[4] or '', '^(%d+)%.(%d+)$')
if old_epoch == ARGV[3] and tonumber(number) > tonumber(ARGV[6]) then return 'late' end
local states = tonumber(ARGV[7])
local legal = false
for i = 8, 7 + states do if ARGV[i] == old[1] then legal = true end end
if not legal then return 'state:' .. old[1] end

local fields, gateway, activity, user = {}, '', '0', ''
for i = 8 + states, #ARGV, 2 do
  fields[#fields + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
  if ARGV[i] == 'gateway_id' then gateway = ARGV[i + 1] end
  if ARGV[i] == 'last_activity' then activity = ARGV[i + 1] end
end
redis.call('HSET', key, 'written', written, unpack(fields))
redis.call('PEXPIRE', key, ttl)
if old[2] and old[2] ~= '' and old[2] ~= gateway then
  redis.call('SREM', ns .. ':gateway:' .. old[2] .. ':sessions', id)
end
if gateway ~= '' then redis.call('SADD', ns .. ':gateway:' .. gateway .. ':sessions', id) end
redis.call('ZADD', ns .. ':online', activity, id)
return 'ok'
