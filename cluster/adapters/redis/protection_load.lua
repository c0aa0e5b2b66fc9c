-- One page of what has changed since the version that is known, oldest change first.
-- KEYS: state, changes, bans, revocations. ARGV: known version, version of the page before or -1, most entries
-- Returns {version, since, 1 if there is more, keys, flat list of what and its value ('' if it is no more), maintenance}, or false:
-- nothing new.
local function number(value) return tonumber(value or '0') end
local function text(value) return string.format('%.0f', value) end

local version = number(redis.call('HGET', KEYS[1], 'version'))
local known, cursor, most = number(ARGV[1]), number(ARGV[2]), number(ARGV[3])
if cursor < 0 and known == version then return false end
if cursor < 0 or cursor > version then
  -- Too old: a ban that was lifted since then may be forgotten. Too new: this store lost its data.
  if known < number(redis.call('HGET', KEYS[1], 'floor')) or known > version then known = -1 end
  cursor = known
end

local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(cursor), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local entries = {}
for i = 1, #found, 2 do
  local kind, whom = string.sub(found[i], 1, 1), string.sub(found[i], 3)
  entries[i] = found[i]
  entries[i + 1] = redis.call('HGET', kind == 'b' and KEYS[3] or KEYS[4], whom) or ''
end
local more = #found == 2 * most
local upto = more and number(found[#found]) or version
return { text(upto), text(cursor), more and 1 or 0, redis.call('HGET', KEYS[1], 'keys') or '', entries,
  redis.call('HGET', KEYS[1], 'maintenance') or '' }
