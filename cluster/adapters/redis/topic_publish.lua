-- Append a message to topics' logs, unless its key was used. Returns the result that goes with the key, then for each topic the
-- message's id and the id before; with a key that was used, the result alone.
-- ARGV: namespace, method, params, limit, key or '', result, call, key ttl ms, topic ttl ms, newest ttl ms, sender or '', refresh or '',
-- number of topics, topics in hex..., and params of each unless they all have the same ones...
local ns, method, params, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key, result, call, sender, refresh = ARGV[5], ARGV[6], ARGV[7], ARGV[11], ARGV[12]
local FIRST, topics = 14, tonumber(ARGV[13])
local own = #ARGV >= FIRST + topics

local used = ns .. ':topic-key:' .. key
if key ~= '' then
  local kept = redis.call('HMGET', used, 'call', 'ids', 'result')
  -- One call may be sent twice over a broken connection; it must not look like somebody's second try.
  if kept[1] == call then
    local answer = {kept[3]}
    for _, id in ipairs(cjson.decode(kept[2])) do answer[#answer + 1] = id end
    return answer
  end
  if kept[1] then return {kept[3]} end
end

local time = redis.call('TIME')
local clock = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ids = {}
for i = FIRST, FIRST + topics - 1 do
  -- Ids are times of this server, or just above the newest one when the clock is behind it.
  local log = ns .. ':topic:' .. ARGV[i]
  local previous = redis.call('GET', log .. ':newest') or ''
  local ms, count = clock, 0
  local newest_ms, newest_count = string.match(previous, '^(%d+)-(%d+)$')
  if newest_ms and tonumber(newest_ms) >= ms then
    ms, count = tonumber(newest_ms), tonumber(newest_count) + 1
  end
  local id = string.format('%.0f-%.0f', ms, count)
  local entry = {'method', method, 'params', own and ARGV[i + topics] or params, 'previous', previous}
  for name, value in pairs({sender = sender, refresh = refresh}) do
    if value ~= '' then
      entry[#entry + 1] = name
      entry[#entry + 1] = value
    end
  end
  redis.call('XADD', log, 'MAXLEN', '~', limit, id, unpack(entry))
  redis.call('PEXPIRE', log, ARGV[9])
  redis.call('SET', log .. ':newest', id, 'PX', ARGV[10])
  ids[#ids + 1] = id
  ids[#ids + 1] = previous
end
if key ~= '' then
  redis.call('HSET', used, 'call', call, 'ids', cjson.encode(ids), 'result', result)
  redis.call('PEXPIRE', used, ARGV[8])
end
local answer = {result}
for _, id in ipairs(ids) do answer[#answer + 1] = id end
return answer
