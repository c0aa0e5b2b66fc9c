-- May a user say something in a channel? Returns {'done' or 'passed', message id}, or {reason, seconds to wait}.
-- ARGV: namespace, channel in hex, user, rate per second, burst, moderator ('1' or '0'), key, message id, key ttl ms, record ttl ms,
-- topic in hex or '', new topics per minute
local ns, channel, user = ARGV[1], ARGV[2], ARGV[3]
local rate, burst, moderator = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local key, id, record_ttl = ARGV[7], ARGV[8], ARGV[10]

local done = redis.call('HGET', ns .. ':topic-key:' .. key, 'result')
if done then return {'done', done} end
local said = ns .. ':chat-said:' .. key
local before = redis.call('GET', said)
if before then return {'passed', before} end

if not moderator and redis.call('EXISTS', ns .. ':chat-mute:' .. channel .. ':' .. user) == 1 then return {'muted', '0'} end

local record, invited = ns .. ':chat-channel:' .. channel, ns .. ':chat-invited:' .. channel
local known = redis.call('HMGET', record, 'owner', 'private', 'slow_s')
local free = moderator or known[1] == user
if known[2] == '1' and not free and redis.call('SISMEMBER', invited, user) == 0 then return {'not_invited', '0'} end
local slow = tonumber(known[3] or '0')

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

-- A bucket that fills with time: its tokens now, and the seconds since the last one was taken (none: nil).
local function look(bucket, per_s, size)
  local kept = redis.call('HMGET', bucket, 'tokens', 'at')
  if not kept[1] then return size, nil end
  local elapsed = math.max(0, now - tonumber(kept[2]))
  return math.min(size, tonumber(kept[1]) + elapsed * per_s), elapsed
end

local function take(bucket, tokens, per_s, size, at_least_s)
  redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens - 1), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', bucket, math.ceil(1000 * math.max((size - tokens + 1) / per_s, at_least_s)))
end

local gate, opened = ns .. ':chat-gate:' .. channel .. ':' .. user, ns .. ':chat-opened:' .. user
local tokens, elapsed = look(gate, rate, burst)
if elapsed and not free and elapsed < slow then return {'slow_mode', string.format('%.3f', slow - elapsed)} end
if tokens < 1 then return {'chat', string.format('%.3f', (1 - tokens) / rate)} end
if ARGV[11] ~= '' and redis.call('EXISTS', ns .. ':topic:' .. ARGV[11] .. ':newest') == 0 then
  local most = tonumber(ARGV[12])
  local left = look(opened, most / 60, most)
  if left < 1 then return {'new_channels', string.format('%.3f', (1 - left) * 60 / most)} end
  take(opened, left, most / 60, most, 0)
end
take(gate, tokens, rate, burst, slow)
redis.call('SET', said, id, 'PX', ARGV[9])
if known[1] then
  redis.call('PEXPIRE', record, record_ttl, 'GT')
  redis.call('PEXPIRE', invited, record_ttl, 'GT')
  redis.call('PEXPIRE', ns .. ':user:' .. known[1] .. ':channels', record_ttl, 'GT')
end
return {'passed', id}
