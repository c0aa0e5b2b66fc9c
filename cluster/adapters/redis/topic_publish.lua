-- Append a message to a topic's log, unless its key was used. Returns its id, the id before, and the result that goes with the key.
-- ARGV: namespace, topic in hex, method, params, limit, key or '', result, key ttl ms, call, topic ttl ms, newest ttl ms
local ns, topic, method, params, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key, result, call = ARGV[6], ARGV[7], ARGV[9]

local used = ns .. ':topic-key:' .. key
if key ~= '' then
  local kept = redis.call('HMGET', used, 'call', 'id', 'previous', 'result')
  -- One call may be sent twice over a broken connection; it must not look like somebody's second try.
  if kept[1] == call then return {kept[2], kept[3], kept[4]} end
  if kept[1] then return {'', '', kept[4]} end
end

-- Ids are times of this server, or just above the newest one when the clock is behind it.
local log = ns .. ':topic:' .. topic
local previous = redis.call('GET', log .. ':newest') or ''
local time = redis.call('TIME')
local ms, count = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), 0
local newest_ms, newest_count = string.match(previous, '^(%d+)-(%d+)$')
if newest_ms and tonumber(newest_ms) >= ms then
  ms, count = tonumber(newest_ms), tonumber(newest_count) + 1
end
local id = string.format('%.0f-%.0f', ms, count)

redis.call('XADD', log, 'MAXLEN', '~', limit, id, 'method', method, 'params', params, 'previous', previous)
redis.call('PEXPIRE', log, ARGV[10])
redis.call('SET', log .. ':newest', id, 'PX', ARGV[11])
if key ~= '' then
  redis.call('HSET', used, 'call', call, 'id', id, 'previous', previous, 'result', result)
  redis.call('PEXPIRE', used, ARGV[8])
end
return {id, previous, result}
