-- Topics that are read from now on; one that has a later place keeps it. ARGV: namespace, actor, epoch, topic, message id, ...
local ns, actor, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
local function order(id)
  local ms, count = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms or '-1'), tonumber(count or '-1')
end
local cursors = ns .. ':outbox:' .. actor .. ':cursors'
for i = 4, #ARGV, 2 do
  local old = redis.call('HGET', cursors, ARGV[i])
  local old_ms, old_count = order(old or '')
  local ms, count = order(ARGV[i + 1])
  if not old or ms > old_ms or (ms == old_ms and count > old_count) then
    redis.call('HSET', cursors, ARGV[i], ARGV[i + 1])
  end
end
return 'ok'
