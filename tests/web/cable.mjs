// A cable between browser and service that can be pulled out: being offline alone leaves open streams as they are.

import { once } from "node:events";
import net from "node:net";

export class Cable {
  #ends = new Set();
  #out = false;

  static async to(port) {
    const cable = new Cable();
    cable.server = net.createServer((near) => cable.#join(near, port)).listen(0, "127.0.0.1");
    await once(cable.server, "listening");
    cable.base = `http://127.0.0.1:${cable.server.address().port}`;
    return cable;
  }

  #join(near, port) {
    if (this.#out) return near.destroy();
    const far = net.connect(port, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#ends.add(one);
      one.on("error", () => {});
      one.on("close", () => { this.#ends.delete(one); other.destroy(); });
      one.pipe(other);
    }
  }

  pull() {
    this.#out = true;
    for (const end of this.#ends) end.destroy();
  }

  plug() {
    this.#out = false;
  }

  remove() {
    this.pull();
    this.server.close();
  }
}
