-- Append a message to topics' logs, unless its key was used. Returns the result that goes with the key, then for each topic the
-- message's id and the id before; with a key that was used, the result alone.
-- ARGV: namespace, method, params, key or '', result, call, key ttl ms, sender or '', refresh or '', trace or '', number of topics,
-- (topic in hex, limit, topic ttl ms, newest ttl ms)..., and params of each unless they all have the same ones...
local ns, method, params = ARGV[1], ARGV[2], ARGV[3]
local key, result, call, sender, refresh, trace = ARGV[4], ARGV[5], ARGV[6], ARGV[8], ARGV[9], ARGV[10]
local FIRST, EACH, topics = 12, 4, tonumber(ARGV[11])
local own = #ARGV >= FIRST + EACH * topics

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
for n = 0, topics - 1 do
  local topic, limit, keep, keep_newest = unpack(ARGV, FIRST + EACH * n, FIRST + EACH * n + EACH - 1)
  -- Ids are times of this server, or just above the newest one when the clock is behind it.
  local log = ns .. ':topic:' .. topic
  local previous = redis.call('GET', log .. ':newest') or ''
  local ms, count = clock, 0
  local newest_ms, newest_count = string.match(previous, '^(%d+)-(%d+)$')
  if newest_ms and tonumber(newest_ms) >= ms then
    ms, count = tonumber(newest_ms), tonumber(newest_count) + 1
  end
  local id = string.format('%.0f-%.0f', ms, count)
  local entry = {'method', method, 'params', own and ARGV[FIRST + EACH * topics + n] or params, 'previous', previous}
  for name, value in pairs({sender = sender, refresh = refresh, trace = trace}) do
    if value ~= '' then
      entry[#entry + 1] = name
      entry[#entry + 1] = value
    end
  end
  redis.call('XADD', log, 'MAXLEN', '~', limit, id, unpack(entry))
  -- What an earlier message asked for stays: a short-lived one takes nothing away.
  redis.call('PEXPIRE', log, string.format('%.0f', math.max(redis.call('PTTL', log), tonumber(keep))))
  local newest = log .. ':newest'
  redis.call('SET', newest, id, 'PX', string.format('%.0f', math.max(redis.call('PTTL', newest), tonumber(keep_newest))))
  ids[#ids + 1] = id
  ids[#ids + 1] = previous
end
if key ~= '' then
  redis.call('HSET', used, 'call', call, 'ids', cjson.encode(ids), 'result', result)
  redis.call('PEXPIRE', used, ARGV[7])
end
local answer = {result}
for _, id in ipairs(ids) do answer[#answer + 1] = id end
return answer
