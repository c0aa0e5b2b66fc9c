-- A group commit, unless a later write of this incarnation has been here.
-- KEYS: epoch, written, entities, transfers, zone of sessions
-- ARGV: epoch, number, zone, number of arguments of each kind (4), entities to drop, their sessions, entity, record, ..., session, zone, ...
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
-- A write that its sender gave up may run late, as when the server stood still: it must not undo what came after it.
local epoch, number = string.match(redis.call('HGET', KEYS[2], 'entities') or '', '^(%d+)%.(%d+)$')
if epoch == ARGV[1] then
  if tonumber(number) > tonumber(ARGV[2]) then return 'late' end
  if number == ARGV[2] then return 'ok' end -- this very call, sent twice
end
redis.call('HSET', KEYS[2], 'entities', ARGV[1] .. '.' .. ARGV[2])

-- Lua's stack has room for some 8,000 values.
local function each(command, key, first, count)
  for i = first, first + count - 1, 2000 do
    redis.call(command, key, unpack(ARGV, i, math.min(i + 2000, first + count) - 1))
  end
  return first + count
end

-- Drops come first: a session may leave and come in again within one commit.
local at = 8
each('HDEL', KEYS[4], at, tonumber(ARGV[4]))
at = each('HDEL', KEYS[3], at, tonumber(ARGV[4]))
for i = at, at + tonumber(ARGV[5]) - 1 do
  if redis.call('HGET', KEYS[5], ARGV[i]) == ARGV[3] then redis.call('HDEL', KEYS[5], ARGV[i]) end
end
at = at + tonumber(ARGV[5])
at = each('HSET', KEYS[3], at, tonumber(ARGV[6]))
each('HSET', KEYS[5], at, tonumber(ARGV[7]))
return 'ok'
