// Five jobs on graphile-worker, a queue in PostgreSQL: each adds the next, and the last one answers the caller.

import { randomUUID } from "node:crypto";
import http from "node:http";
import { Logger, run } from "graphile-worker";

const waiting = new Map();

const runner = await run({
  connectionString: process.env.DATABASE_URL,
  concurrency: 20,
  maxPoolSize: 20,
  noHandleSignals: true,
  logger: new Logger(() => () => {}),
  taskList: {
    noop: async ({ flow, step }, { addJob }) => {
      if (step < 5) return void (await addJob("noop", { flow, step: step + 1 }));
      waiting.get(flow)?.();
      waiting.delete(flow);
    },
  },
});

http.createServer(async (request, response) => {
  if (request.method === "POST") {
    const flow = randomUUID();
    const done = new Promise((resolve) => waiting.set(flow, resolve));
    await runner.addJob("noop", { flow, step: 1 });
    await done;
  }
  response.setHeader("Content-Type", "application/json").end('{"status":"succeeded"}');
}).listen(Number(process.env.PORT), "127.0.0.1");
