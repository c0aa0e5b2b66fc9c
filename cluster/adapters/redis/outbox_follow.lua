-- Topics that are read from now on; one that has a place keeps it. ARGV: namespace, actor, epoch, topic, message id, ...
local ns, actor, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('GET', ns .. ':epoch:sessions:' .. actor) or '0') ~= epoch then return 'fenced' end
for i = 4, #ARGV, 2 do redis.call('HSETNX', ns .. ':outbox:' .. actor .. ':cursors', ARGV[i], ARGV[i + 1]) end
return 'ok'
