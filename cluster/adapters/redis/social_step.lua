-- Change what two users are to each other, on both sides. Returns a word (cluster/adapters/redis/social.py).
-- Keys are derived from the namespace, so one server (no Redis Cluster).
-- ARGV: namespace, call, call ttl ms, step, user, other, now, most friends, most outgoing, most incoming, most blocked,
--   what the user calls the other or ''
local ns, user, other, now, name = ARGV[1], ARGV[5], ARGV[6], ARGV[7], ARGV[12]
local most = {}
for n, list in ipairs({'friends', 'outgoing', 'incoming', 'blocked'}) do most[list] = tonumber(ARGV[7 + n]) end
local call = ns .. ':social-call:' .. ARGV[2]

local function key(id, list) return ns .. ':user:' .. id .. ':' .. list end
local function since(id, list, whom) return redis.call('ZSCORE', key(id, list), whom) end
local function full(id, list) return redis.call('ZCARD', key(id, list)) >= most[list] end
local function add(id, list, whom, at) redis.call('ZADD', key(id, list), at, whom) end

-- Nobody is in a user's outgoing and blocked at once: one name for each.
local named = {outgoing = true, blocked = true}

local function add_named(list)
  add(user, list, other, now)
  if name ~= '' then redis.call('HSET', key(user, 'names'), other, name) end
end

local function drop(id, list, whom)
  local gone = redis.call('ZREM', key(id, list), whom) == 1
  if gone and named[list] then redis.call('HDEL', key(id, 'names'), whom) end
  return gone
end

local function drop_requests()
  for _, list in ipairs({'incoming', 'outgoing'}) do
    drop(user, list, other)
    drop(other, list, user)
  end
end

local function befriend()
  if full(user, 'friends') or full(other, 'friends') then return 'too_many_friends' end
  drop_requests()
  add(user, 'friends', other, now)
  add(other, 'friends', user, now)
  return 'friends'
end

local steps = {}

function steps.request()
  if since(user, 'blocked', other) then return 'blocked' end
  if since(user, 'friends', other) then return 'already_friends' end
  local hidden = since(user, 'blocked-by', other) or full(other, 'incoming')
  local asked_at = since(user, 'outgoing', other)
  if asked_at then
    if hidden or since(other, 'incoming', user) then return 'already_requested' end
    add(other, 'incoming', user, asked_at)
    return 'shown' -- which the asker must not learn
  end
  if full(user, 'friends') then return 'too_many_friends' end
  if since(other, 'outgoing', user) then return befriend() end -- also one that is hidden from the user: both want it
  if full(user, 'outgoing') then return 'too_many_requests' end
  add_named('outgoing')
  if hidden then return 'hidden' end
  add(other, 'incoming', user, now)
  return 'requested'
end

function steps.accept()
  if since(user, 'friends', other) then return 'unchanged' end
  if not since(user, 'incoming', other) then return 'no_such_request' end
  return befriend()
end

function steps.decline()
  if not drop(user, 'incoming', other) then return 'unchanged' end
  drop(other, 'outgoing', user)
  return 'changed'
end

function steps.cancel()
  if not drop(user, 'outgoing', other) then return 'unchanged' end
  drop(other, 'incoming', user)
  return 'changed'
end

function steps.remove()
  if not drop(user, 'friends', other) then return 'unchanged' end
  drop(other, 'friends', user)
  return 'changed'
end

function steps.block()
  if since(user, 'blocked', other) then return 'unchanged' end
  if full(user, 'blocked') then return 'too_many_blocked' end
  drop_requests()
  drop(user, 'friends', other)
  drop(other, 'friends', user)
  add_named('blocked')
  add(other, 'blocked-by', user, now)
  return 'changed'
end

function steps.unblock()
  if not drop(user, 'blocked', other) then return 'unchanged' end
  drop(other, 'blocked-by', user)
  return 'changed'
end

-- One call may be sent twice over a broken connection; its second answer is that of the first.
local answer = redis.call('GET', call)
if not answer then
  answer = steps[ARGV[4]]()
  redis.call('SET', call, answer, 'PX', ARGV[3])
end
return answer
