-- May a user say something in a channel? Returns {'done' or 'passed', message id}, or {reason, seconds to wait}.
-- ARGV: namespace, channel in hex, user, rate per second, burst, moderator ('1' or '0'), key, message id, key ttl ms, record ttl ms
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
local slow = free and 0 or tonumber(known[3] or '0')

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local gate = ns .. ':chat-gate:' .. channel .. ':' .. user
local kept = redis.call('HMGET', gate, 'tokens', 'at')
local at = tonumber(kept[2] or '0')
local elapsed = math.max(0, now - at)
if kept[2] and elapsed < slow then return {'slow_mode', string.format('%.3f', slow - elapsed)} end
local tokens = math.min(burst, tonumber(kept[1] or burst) + elapsed * rate)
if tokens < 1 then return {'chat', string.format('%.3f', (1 - tokens) / rate)} end

redis.call('HSET', gate, 'tokens', string.format('%.6f', tokens - 1), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', gate, math.ceil(1000 * math.max((burst - tokens + 1) / rate, tonumber(known[3] or '0'))))
redis.call('SET', said, id, 'PX', ARGV[9])
if known[1] then
  redis.call('PEXPIRE', record, record_ttl, 'GT')
  redis.call('PEXPIRE', invited, record_ttl, 'GT')
end
return {'passed', id}
