"""OpenStack Swift with its s3api, on loopback: run by the Python that Debian installs Swift for.

    /usr/bin/python3 tests/swift_server.py FOLDER PORT

FOLDER keeps the objects and may be used again. PORT is where S3 is spoken; the parts of Swift
find free ports of their own. It prints a line when all of them answer, and ends with everything
that it has started when its standard input does. tests/s3_server.py is what uses it.
"""

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

# the four servers are imported once, here, and not by each of the processes that become one
from swift.account import server as _account  # noqa: F401
from swift.common import utils
from swift.common.middleware import container_quotas, dlo, s3api, slo, tempauth  # noqa: F401
from swift.common.ring import RingBuilder
from swift.common.wsgi import run_wsgi
from swift.container import server as _container  # noqa: F401
from swift.obj import server as _obj  # noqa: F401
from swift.proxy import server as _proxy  # noqa: F401

ACCOUNTS = ("account", "container", "object")
START_SECONDS = 120
USER, PASSWORD = "test:tester", "testing"
FILTERS = (
    "catch_errors proxy-logging cache listing_formats bulk s3api tempauth container-quotas slo dlo"
)
SWIFT = """\
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
"""
SERVER = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}
mount_check = false
fallocate_reserve = 0
workers = 0
user = {user}
log_address = {folder}/no-log
# a machine may be busy, and a server that is slow then has not failed
conn_timeout = 20
node_timeout = 60
container_update_timeout = 60
error_suppression_limit = 1000000
[pipeline:main]
pipeline = {pipeline} {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
account_autocreate = true
"""
FILTER = """\
[filter:{name}]
use = egg:swift#{entry}
{options}
"""


def configure(folder: Path, ports: dict[str, int]) -> None:
    """Write what Swift reads from its folder: settings and one ring for each kind of server."""
    (folder / "d1").mkdir(exist_ok=True)
    (folder / "swift.conf").write_text(SWIFT)
    user = pwd.getpwuid(os.getuid()).pw_name
    for kind in (*ACCOUNTS, "proxy"):
        pipeline = f"{FILTERS} proxy-logging" if kind == "proxy" else ""
        text = SERVER.format(
            port=ports[kind], folder=folder, kind=kind, pipeline=pipeline, user=user
        )
        (folder / f"{kind}.conf").write_text(text + "".join(_filters(kind, ports)))
    for kind in ACCOUNTS:
        _make_ring(folder, kind, ports[kind])


def _filters(kind: str, ports: dict[str, int]) -> list[str]:
    options = {
        "cache": f"memcache_servers = 127.0.0.1:{ports['memcached']}",
        "tempauth": f"user_{USER.replace(':', '_')} = {PASSWORD} .admin",
    }
    return [
        FILTER.format(
            name=name,
            entry="memcache" if name == "cache" else name.replace("-", "_"),
            options=options.get(name, ""),
        )
        for name in FILTERS.split()
        if kind == "proxy"
    ]


def _make_ring(folder: Path, kind: str, port: int) -> None:
    builder = RingBuilder(4, 1, 1)
    where = {"ip": "127.0.0.1", "port": port, "device": "d1"}
    replication = {"replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"region": 1, "zone": 1, "weight": 1.0, "meta": "", **where, **replication})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def serve(folder: Path, kind: str) -> int:
    """Become one server of Swift; returns the process that does."""
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        utils.set_swift_dir(str(folder))
        os._exit(run_wsgi(str(folder / f"{kind}.conf"), f"{kind}-server"))
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until somebody listens there."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def main(folder: Path, port: int) -> None:
    """Start all, wait for the end of standard input, stop all."""
    utils.eventlet_monkey_patch()  # as Swift does before it forks its workers
    ports = {kind: free_port() for kind in (*ACCOUNTS, "memcached")} | {"proxy": port}
    configure(folder, ports)
    memcached = ["memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-U", "0"]
    children = [subprocess.Popen([*memcached, "-u", "nobody"], stdin=subprocess.DEVNULL).pid]
    try:
        children += [serve(folder, kind) for kind in ("proxy", *ACCOUNTS)]
        for one in ports.values():
            wait_for(one)
        print("ready", flush=True)
        sys.stdin.buffer.read()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
