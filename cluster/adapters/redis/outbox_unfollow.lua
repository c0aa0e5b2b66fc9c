-- Forget the places of topics. ARGV: namespace, actor, epoch, topic...
local ns, actor, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
for i = 4, #ARGV do redis.call('HDEL', ns .. ':outbox:' .. actor .. ':cursors', ARGV[i]) end
return 'ok'
