-- Append a batch to an actor's log, and with it the newest number of each session and how far each topic was read.
-- ARGV: namespace, actor, epoch, batch, now ms, oldest ms, keep ms, batches kept while the clock is behind,
--       number of sessions, session id, number, ..., topic, message id, ...
local ns, actor, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end

-- Ids are times, and must grow. While the clock is behind the newest id, its time goes on, and ages cannot be told: a count bounds the log.
local key = ns .. ':outbox:' .. actor
local added = redis.pcall('XADD', key, 'MINID', '~', ARGV[6], ARGV[5] .. '-*', 'batch', ARGV[4])
if type(added) == 'table' then
  local about, newest = redis.call('XINFO', 'STREAM', key), ''
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then newest = string.match(about[i + 1], '^%d+') end
  end
  redis.call('XADD', key, 'MAXLEN', '~', ARGV[8], newest .. '-*', 'batch', ARGV[4])
end
redis.call('PEXPIRE', key, ARGV[7])

-- A call that was cut off may run late, after newer ones: numbers and places only go up.
local last = 9 + 2 * tonumber(ARGV[9])
for i = 10, last, 2 do
  local session = ns .. ':session:' .. ARGV[i]
  local stored = redis.call('HMGET', session, 'actor', 'seq')
  if stored[1] == actor and tonumber(stored[2] or '0') < tonumber(ARGV[i + 1]) then
    redis.call('HSET', session, 'seq', ARGV[i + 1])
  end
end

local function order(id)
  local ms, count = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms or '-1'), tonumber(count or '-1')
end
local cursors = key .. ':cursors'
-- A topic that is followed has a field (outbox_follow.lua), if an empty one; the place of any other would stay for ever.
for i = last + 1, #ARGV, 2 do
  local old = redis.call('HGET', cursors, ARGV[i])
  local old_ms, old_count = order(old or '')
  local ms, count = order(ARGV[i + 1])
  if old and (ms > old_ms or (ms == old_ms and count > old_count)) then redis.call('HSET', cursors, ARGV[i], ARGV[i + 1]) end
end
return 'ok'
