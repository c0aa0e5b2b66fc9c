-- Change or read a party. Returns a word, the party id, leader, version, members, what is kept of each, who is invited,
-- and what each of those is called.
-- Keys are derived from the namespace, so one server (no Redis Cluster).
-- ARGV: namespace, call, call ttl ms, step, party or '', user, other, now, about, most members, most invited, expires at,
--   invitation ttl ms, most invitations of a user, what the other is called or '', party ttl ms
local ns, step, party, user, other, now, about = ARGV[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local most_members, most_invited, most_received = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[14])
local call, ttl = ns .. ':party-call:' .. ARGV[2], ARGV[16]

local function key(list) return ns .. ':party:' .. party .. list end
local function party_of(id) return redis.call('GET', ns .. ':user:' .. id .. ':party') or '' end
local function received(id) return ns .. ':user:' .. id .. ':invitations' end
local function invitation(id) return ns .. ':invitation:' .. party .. ':' .. id end
local function is_member(id) return redis.call('HEXISTS', key(':people'), id) == 1 end
local function leader() return redis.call('HGET', key(''), 'leader') end
local function full() return redis.call('LLEN', key(':members')) >= most_members end
local function changed() redis.call('HINCRBY', key(''), 'version', 1) end

local function uninvite(id)
  redis.call('ZREM', received(id), party)
  redis.call('DEL', invitation(id))
  redis.call('HDEL', key(':called'), id)
  return redis.call('ZREM', key(':invited'), id) == 1
end

-- Invitations end by their time as the caller knows it, or because the server's clock let the key expire.
local function is_invited(id)
  local ends = redis.call('ZSCORE', key(':invited'), id)
  return ends and tonumber(ends) > now and redis.call('EXISTS', invitation(id)) == 1
end

local function forget_old_invitations()
  for _, id in ipairs(redis.call('ZRANGE', key(':invited'), 0, -1)) do
    if not is_invited(id) then uninvite(id) end
  end
end

local function add(id)
  redis.call('RPUSH', key(':members'), id)
  redis.call('HSET', key(':people'), id, about)
  redis.call('SET', ns .. ':user:' .. id .. ':party', party)
  changed()
end

local function drop(id)
  redis.call('LREM', key(':members'), 1, id)
  redis.call('HDEL', key(':people'), id)
  redis.call('DEL', ns .. ':user:' .. id .. ':party')
  changed()
end

-- A party whose members never return ends, all of it at once. Changing and looking keep it; who only looks does so once a day.
local function renew()
  for _, list in ipairs({'', ':members', ':people', ':invited', ':called'}) do redis.call('PEXPIRE', key(list), ttl) end
  for _, id in ipairs(redis.call('LRANGE', key(':members'), 0, -1)) do
    redis.call('PEXPIRE', ns .. ':user:' .. id .. ':party', ttl)
  end
end

local function answer(word)
  if redis.call('PTTL', key('')) < tonumber(ttl) - 86400000 then renew() end
  local found = redis.call('HMGET', key(''), 'leader', 'version')
  local members, people, invited, called = redis.call('LRANGE', key(':members'), 0, -1), {}, {}, {}
  for n, id in ipairs(members) do people[n] = redis.call('HGET', key(':people'), id) end
  for _, id in ipairs(redis.call('ZRANGE', key(':invited'), 0, -1)) do
    if redis.call('EXISTS', invitation(id)) == 1 then
      invited[#invited + 1] = id
      called[#called + 1] = redis.call('HGET', key(':called'), id) or ''
    end
  end
  return {word, party, found[1] or '', found[2] or '0', members, people, invited, called}
end

-- A party that has ended, or, with version 0, that never was.
local function nothing(version) return {'ok', party, '', version, {}, {}, {}, {}} end

-- The answer of a step that changed something. One call may be sent twice over a broken connection: the second time it gets the
-- party as it is by then.
local function done()
  renew()
  redis.call('SET', call, party, 'PX', ARGV[3])
  return answer('ok')
end

local steps = {}

function steps.get() return answer('ok') end

function steps.of_user()
  party = party_of(user)
  return answer('ok')
end

function steps.create()
  if is_member(user) then return answer('ok') end
  if party_of(user) ~= '' then return {'in_a_party'} end
  if redis.call('EXISTS', key('')) == 1 then return {'party_exists'} end
  redis.call('HSET', key(''), 'leader', user)
  add(user)
  return done()
end

function steps.invite()
  party = party_of(user)
  if party == '' then return {'not_in_party'} end
  if is_member(other) then return {'already_member'} end
  if full() then return {'party_full'} end
  forget_old_invitations()
  local again = is_invited(other)
  if not again and redis.call('ZCARD', key(':invited')) >= most_invited then return {'too_many_invitations'} end
  redis.call('ZADD', key(':invited'), ARGV[12], other)
  redis.call('SET', invitation(other), about, 'PX', ARGV[13])
  local mine = received(other)
  redis.call('ZADD', mine, ARGV[12], party)
  redis.call('PEXPIRE', mine, math.max(redis.call('PTTL', mine), tonumber(ARGV[13])))
  -- Who gets too many loses the ones that end first.
  while redis.call('ZCARD', mine) > most_received do
    local first = redis.call('ZPOPMIN', mine)[1]
    redis.call('DEL', ns .. ':invitation:' .. first .. ':' .. other)
  end
  if not again then
    if ARGV[15] ~= '' then redis.call('HSET', key(':called'), other, ARGV[15]) end
    changed()
  end
  return done()
end

function steps.accept()
  if is_member(user) then return answer('ok') end
  if not is_invited(user) then return {'no_such_invitation'} end
  if party_of(user) ~= '' then return {'in_a_party'} end
  if full() then return {'party_full'} end
  uninvite(user)
  add(user)
  return done()
end

function steps.decline()
  local open = is_invited(user)
  uninvite(user)
  if not open then return nothing('0') end
  changed()
  return done()
end

function steps.leave()
  party = party_of(user)
  if party == '' then return nothing('0') end
  drop(user)
  local longest = redis.call('LINDEX', key(':members'), 0)
  if longest then
    if leader() == user then redis.call('HSET', key(''), 'leader', longest) end
    return done()
  end
  for _, id in ipairs(redis.call('ZRANGE', key(':invited'), 0, -1)) do uninvite(id) end
  local version = redis.call('HGET', key(''), 'version')
  redis.call('DEL', key(''))
  redis.call('SET', call, party .. ' ' .. version, 'PX', ARGV[3])
  return nothing(version)
end

local function lead_over()
  party = party_of(user)
  if party == '' then return 'not_in_party' end
  if leader() ~= user then return 'not_leader' end
  if not is_member(other) then return 'no_such_member' end
  return nil
end

function steps.kick()
  local refused = lead_over()
  if refused then return {refused} end
  if other == user then return {'oneself'} end
  drop(other)
  return done()
end

function steps.lead()
  local refused = lead_over()
  if refused then return {refused} end
  if other == user then return answer('ok') end
  redis.call('HSET', key(''), 'leader', other)
  changed()
  return done()
end

local before = redis.call('GET', call)
if not before then return steps[step]() end
local version
party, version = string.match(before, '^(%S+) ?(%d*)$')
if version ~= '' then return nothing(version) end
return answer('ok')
