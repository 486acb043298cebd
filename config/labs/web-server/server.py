"""A small web server: `start` leaves it running in a session of its own, `stop` ends it.

It serves the files of ./site and takes one change: PUT /sign.txt, with the session's key. Its address is ADDRESS, its
port a free one, written to server/port; its process id is in server/pid.
"""

import http.server
import os
import signal
import sys
import threading
import time

PAGES = {
    "/": ("site/index.html", "text/html; charset=utf-8"),
    "/robots.txt": ("site/robots.txt", "text/plain; charset=utf-8"),
    "/back-room.txt": ("site/back-room.txt", "text/plain; charset=utf-8"),
    "/sign.txt": ("site/sign.txt", "text/plain; charset=utf-8"),
}
LONGEST_SIGN = 100


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10
    server_version = "corner-shop"
    sys_version = ""

    def do_GET(self):
        page = PAGES.get(self.path.split("?")[0])
        if page is None:
            return self.answer(404, "There is no such page.\n")
        with open(page[0], "rb") as file:
            self.answer(200, file.read(), page[1])

    do_HEAD = do_GET

    def do_PUT(self):
        if self.path != "/sign.txt":
            return self.answer(405, "Only the sign can be changed.\n")
        with open("site/.key", encoding="ascii") as file:
            if self.headers.get("X-Key") != file.read():
                return self.answer(403, "The door is locked: the header X-Key must be the key.\n")
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self.answer(411, "How long is the sign?\n")
        if not 0 < length <= LONGEST_SIGN:
            return self.answer(413, "A sign has 1 to %d bytes.\n" % LONGEST_SIGN)
        sign = self.rfile.read(length).decode("utf-8", "replace").strip()
        with open("site/sign.new", "w", encoding="utf-8") as file:
            file.write(sign + "\n")
        os.replace("site/sign.new", "site/sign.txt")
        self.answer(200, "The sign now says: %s\n" % sign)

    def answer(self, status, body, kind="text/plain; charset=utf-8"):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def write(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(path + ".new", path)


def start():
    stop()
    os.makedirs("server", exist_ok=True)
    server = http.server.ThreadingHTTPServer((os.environ.get("ADDRESS", "127.0.0.1"), 0), Handler)
    # Written before the start is over: Terraform reads it next.
    write("server/port", str(server.server_address[1]))
    # Empty until the child's number is known: the child looks for it.
    write("server/pid", "")
    child = os.fork()
    if child:
        # The socket listens already, and the child has it.
        write("server/pid", str(child))
        os._exit(0)
    os.setsid()
    for fd in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), fd)
    threading.Thread(target=watch, args=(server,), daemon=True).start()
    server.serve_forever()


def watch(server):
    """Ends the server when its directory is gone, or another server has taken its place."""
    while is_noted():
        time.sleep(1)
    server.shutdown()


def is_noted():
    try:
        with open("server/pid", encoding="ascii") as file:
            return file.read() in ("", str(os.getpid()))
    except OSError:
        return False


def ours(pid):
    """Whether this process is the server of this directory: a pid may be another's by now."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return b"server.py" in file.read() and os.path.samefile("/proc/%d/cwd" % pid, ".")
    except OSError:
        return False


def stop():
    try:
        with open("server/pid", encoding="ascii") as file:
            pid = int(file.read())
    except (OSError, ValueError):
        return
    for attempt in range(100):
        if not ours(pid):
            break
        os.kill(pid, signal.SIGTERM if attempt < 50 else signal.SIGKILL)
        time.sleep(0.05)
    os.remove("server/pid")


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
