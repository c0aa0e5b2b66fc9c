import asyncio, os, signal, time, json
import pytest
from tests.integration.world_rig import *
pytestmark = pytest.mark.realm
PL=[(90.0+3*n,100.0) for n in range(8)]
async def test_it(realm):
    async with archive_of(realm,"zon_meadow") as a, crowd(realm,a,PL) as c:
        print("crowd")
        for args,n in ((("zones","split","zon_meadow"),5),(("zones","restart","zon_meadow"),7),(None,7)):
            if args is None:
                m=(await a.record()).map; new=[z.id for z in m if z.declared=="zon_meadow" and z.id!="zon_meadow"][0]
                args=("zones","merge","zon_meadow",new)
            since=time.monotonic()
            async with begun(realm,*args):
                lastid=None
                for k in range(n):
                    t=time.monotonic()
                    pid=await a.pid("supervisor")
                    while True:
                        r=await a.record()
                        if r.progress and r.progress.done>=k: break
                        if r.last and r.last.plan==lastid: break
                        assert time.monotonic()-t<30
                    if not r.progress: print("ended before",k); break
                    lastid=r.progress.plan.id
                    os.kill(pid,signal.SIGKILL)
                    r=await a.record()
                    print(args[1],"want",k,"hit",r.progress and (r.progress.done,r.progress.plan.steps[r.progress.done].name), "waited",round(time.monotonic()-t,2))
                    while await a.pid("supervisor")==pid: await asyncio.sleep(0.02)
                    print("  new sup after",round(time.monotonic()-t,2))
            print(args, "took",time.monotonic()-since)
            await c.goes_on()
            c.report(str(args),since)
            h=await a.homes()
            print({i:h.get(i) for i in c.ids})
            print(await a.zones_of(c))
            print(json.dumps({k:(v['population'],v['slot'],v['epoch']) for k,v in (await zones(realm)).items()}))
            await c.at_ease()
