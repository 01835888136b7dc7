"""A server with a small application, for tests/test_server.py to start in a process of its own."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final

from xds import logs
from xds.config import Config, load
from xds.security.node import of_environment
from xds.security.proxies import KnownNodes, Proxies
from xds.server import supervisor
from xds.tls.options import networks

SLOW: Final = "a slow answer is under way"
_KEPT: list[bytes] = []
_log: Final = logs.get_logger(__name__)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer at once, after a while, with the length of what was sent, or die."""
    answer = b""
    match environ["PATH_INFO"]:
        case "/slow":
            _log.info(SLOW)
            time.sleep(0.7)
            answer = b"slow"
        case "/length":
            stream = environ["wsgi.input"]
            blocks = iter(lambda: stream.read(65536), b"")
            answer = str(sum(map(len, blocks))).encode()
        case "/process":
            answer = str(os.getpid()).encode()
        case "/node":
            node = of_environment(environ)
            told = {"address": node.address, "subject": node.certificate_subject}
            answer = json.dumps({**told, "certificate": bool(node.certificate)}).encode()
        case "/forwarded":
            answer = environ.get("HTTP_X_FORWARDED_HOST", "nothing").encode()
        case "/grow":
            _KEPT.append(os.urandom(1) * (200 << 20))
        case "/large":
            start_response("200 OK", [])
            return (bytes([number % 256]) * 65536 for number in range(100))
        case "/die":
            os._exit(9)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def create(config: Config) -> Any:
    """Create the application, unless the test wants that to fail."""
    if config.assigning_authority == "1.2.3":
        raise RuntimeError("no database")
    trusted = networks(config.trusted_proxies or "")
    proxies = Proxies(trusted, config.node_certificate_header, config.node_address_header)
    return KnownNodes(application, proxies)


def fail(config: Config) -> None:
    """Fail, as a round trip may."""
    raise RuntimeError(f"no round trip at port {config.port > 0}")


def main() -> None:
    """Serve, in a process of its own; the arguments are options."""
    config = load(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    logs.configure(config.log_level, "json")
    try:
        when_ready = fail if config.assigning_authority == "1.2.4" else None
        sys.exit(supervisor.serve(config, when_ready=when_ready, create=create))
    except supervisor.ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    # by its name, by which workers know what they are handed
    import_module("tests.small_server").main()
