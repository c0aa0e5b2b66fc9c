-- One change. What has expired goes first, in bounded pieces; that alone is no change: who knows of it sees its end.
-- KEYS: state, changes, bans, ends of bans, lifted, revocations, ends of revocations of each kind: token, family, user, all.
-- ARGV: what, then its own
local state, changes, bans, ban_ends, lifted, revoked = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local revoked_ends = { token = KEYS[7], family = KEYS[8], user = KEYS[9], all = KEYS[10] }
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
-- Of what has expired, at one change: more than a change adds, and soon done.
local PIECE, PIECES = 1000, 4

local function over(ends)
  return redis.call('ZRANGEBYSCORE', ends, '-inf', string.format('%.6f', now), 'LIMIT', 0, PIECE)
end

-- Whoever knows only what was before one that is forgotten loads everything.
local function forget(members)
  local floor = tonumber(redis.call('HGET', state, 'floor') or '0')
  for i = 1, #members do floor = math.max(floor, tonumber(redis.call('ZSCORE', changes, members[i]) or '0')) end
  redis.call('HSET', state, 'floor', string.format('%.0f', floor))
  redis.call('ZREM', changes, unpack(members))
end

local function prune_bans()
  for _ = 1, PIECES do
    local gone = over(ban_ends)
    if #gone == 0 then break end
    redis.call('HDEL', bans, unpack(gone))
    redis.call('ZREM', ban_ends, unpack(gone))
    for i = 1, #gone do gone[i] = 'b:' .. gone[i] end
    forget(gone)  -- it may have replaced one that would have lasted longer
  end
  local gone = over(lifted)
  if #gone == 0 then return end
  redis.call('ZREM', lifted, unpack(gone))
  for i = 1, #gone do gone[i] = 'b:' .. gone[i] end
  forget(gone)
end

-- Of revocations the later times count: who missed one that has ended missed nothing.
local function prune_revocations(ends)
  for _ = 1, PIECES do
    local gone = over(ends)
    if #gone == 0 then return end
    redis.call('HDEL', revoked, unpack(gone))
    redis.call('ZREM', ends, unpack(gone))
    for i = 1, #gone do gone[i] = 'r:' .. gone[i] end
    redis.call('ZREM', changes, unpack(gone))
  end
end

-- The clock's microseconds, so that a store that lost its data does not count through old versions again.
-- The first version is the oldest from which changes are known.
local function changed(what)
  local version = redis.call('HGET', state, 'version')
  local fresh = math.max(tonumber(version or '0') + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('HSET', state, 'version', string.format('%.0f', fresh))
  if not version then redis.call('HSET', state, 'floor', string.format('%.0f', fresh)) end
  if what then redis.call('ZADD', changes, string.format('%.0f', fresh), what) end
end

local steps = {}

-- ARGV: network, seconds or '', details, limit, '1' to leave one that lasts as long or longer. Returns the value that holds now:
-- when it ends ('' for never), a line feed, details; false: too many.
function steps.ban(network, for_s, details, limit, extend_only)
  prune_bans()
  local there = redis.call('HGET', bans, network)
  if not there and redis.call('HLEN', bans) >= tonumber(limit) then return false end
  local ends = for_s ~= '' and string.format('%.6f', now + tonumber(for_s)) or ''
  if there and extend_only == '1' then
    local old_ends = string.match(there, '^([^\n]*)\n')
    local lasts = old_ends == '' or (ends ~= '' and tonumber(ends) <= tonumber(old_ends))
    if lasts and (old_ends == '' or tonumber(old_ends) > now) then return there end
  end
  local value = ends .. '\n' .. details
  redis.call('HSET', bans, network, value)
  redis.call('ZADD', ban_ends, ends ~= '' and ends or '+inf', network)
  redis.call('ZREM', lifted, network)
  changed('b:' .. network)
  return value
end

-- ARGV: network, seconds for which it is known that it was lifted. Returns 1 if there was a ban.
function steps.lift(network, remembered_s)
  prune_bans()
  redis.call('ZREM', ban_ends, network)
  local there = redis.call('HDEL', bans, network)
  if there == 1 then
    redis.call('ZADD', lifted, string.format('%.6f', now + tonumber(remembered_s)), network)
    changed('b:' .. network)
  end
  return there
end

-- ARGV: kind, subject, before, until, limit of its kind. Returns 1; false: too many. The later of two times counts.
function steps.revoke(kind, subject, before, ends, limit)
  for _, ends in pairs(revoked_ends) do prune_revocations(ends) end
  if tonumber(ends) <= now then return 1 end
  local whom = kind .. ':' .. subject
  local there = redis.call('HGET', revoked, whom)
  if there then
    local old_before, old_ends = string.match(there, '^(%S+) (%S+)$')
    if tonumber(old_before) >= tonumber(before) then before = old_before end
    if tonumber(old_ends) >= tonumber(ends) then ends = old_ends end
    if before == old_before and ends == old_ends then return 1 end
  elseif redis.call('ZCARD', revoked_ends[kind]) >= tonumber(limit) then
    return false
  end
  redis.call('HSET', revoked, whom, before .. ' ' .. ends)
  redis.call('ZADD', revoked_ends[kind], ends, whom)
  changed('r:' .. whom)
  return 1
end

-- ARGV: public, sealed
function steps.keys(public, sealed)
  redis.call('HSET', state, 'keys', public, 'sealed', sealed)
  changed()
  return 1
end

-- ARGV: the maintenance as JSON, or '': the realm is open; when that was ordered. Returns 0 if what holds was ordered later.
function steps.maintain(closed, ordered)
  if tonumber(ordered) > now then ordered = string.format('%.6f', now) end
  if tonumber(ordered) < tonumber(redis.call('HGET', state, 'maintained') or '0') then return 0 end
  redis.call('HSET', state, 'maintained', ordered)
  if (redis.call('HGET', state, 'maintenance') or '') ~= closed then
    if closed == '' then redis.call('HDEL', state, 'maintenance') else redis.call('HSET', state, 'maintenance', closed) end
    changed()
  end
  return 1
end

return steps[ARGV[1]](ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
