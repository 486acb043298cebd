# A fakepve with an API token and a port for faults; its command line has neither. Arguments: port, port for faults,
# certificate, key.
import asyncio
import sys

from aiohttp import web
from fakepve import FakePve

TOKEN = "11111111-2222-3333-4444-555555555555"


async def main():
    port, faults, certificate, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    pve = FakePve(user="root@pam", password="secret", host="127.0.0.1", port=port)
    pve.time_scale = 0.05
    pve.apitokens["root@pam!ci"] = TOKEN
    pve.add_vm(9000, "template", template=True, config={"cores": 1, "memory": 1024, "scsi0": "local-lvm:base-9000-disk-0,size=8G"})

    async def call(request):
        body = await request.json()
        result = getattr(pve, body["m"])(*body.get("a", []), **body.get("k", {}))
        if asyncio.iscoroutine(result):
            result = await result
        return web.json_response({"ok": str(result)})

    async def seen(request):
        return web.json_response([f"{method} {path}" for method, path, _ in pve.requests])

    await pve.start(certificate, key)
    app = web.Application()
    app.router.add_post("/call", call)
    app.router.add_get("/seen", seen)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", faults).start()
    await asyncio.Event().wait()


asyncio.run(main())
