// Five journaled steps on Restate. The server is called, and calls this.

import http2 from "node:http2";

// The SDK wants it, Node.js has it since 22.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new Promise((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};

const restate = await import("@restatedev/restate-sdk");

const flow = restate.service({
  name: "flow",
  handlers: {
    run: async (ctx) => {
      for (const step of "abcde") await ctx.run(step, () => step);
      return { status: "succeeded" };
    },
  },
});

http2.createServer(restate.createEndpointHandler({ services: [flow] })).listen(Number(process.env.PORT), "127.0.0.1");
