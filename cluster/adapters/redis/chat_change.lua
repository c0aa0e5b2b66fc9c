-- Change a channel's record. Returns owner, private, slow_s, created_at; nothing if there is no such record.
-- ARGV: namespace, channel in hex, private ('1', '0' or ''), slow_s or ''
local record = ARGV[1] .. ':chat-channel:' .. ARGV[2]
if redis.call('EXISTS', record) == 0 then return {} end
if ARGV[3] ~= '' then redis.call('HSET', record, 'private', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', record, 'slow_s', ARGV[4]) end
return redis.call('HMGET', record, 'owner', 'private', 'slow_s', 'created_at')
