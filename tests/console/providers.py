"""Providers of OpenID Connect for tests: a real one, and one that does what it is told to."""

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.ports import free_port
from tests.waiting import PATIENCE

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-provider" / "bin" / "python"
MISSING: Final = "no provider of OpenID Connect: make provider"
CLIENT: Final = "xds console"
SECRET: Final = "s3cret: +%&/"


# --- Canaille ------------------------------------------------------------------------------------


@contextmanager
def canaille(
    clients: Sequence[Mapping[str, Any]], people: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Run Canaille with clients, and people by name with their groups; yield its URL."""
    port = free_port()
    told = json.dumps({"clients": clients, "people": people})
    command = [str(PYTHON), str(Path(__file__).with_name("canaille_server.py")), str(port), told]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(process, port)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise RuntimeError("Canaille did not start")


# --- one that does what it is told to ------------------------------------------------------------


@dataclass
class OddProvider:
    """A provider that lets everybody in at once, and is right unless a test says otherwise."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    kid: str = "one"
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is other in its metadata; None for what is missing."""
    claims: dict[str, Any] = field(default_factory=dict)
    """What is other in its ID tokens; None for what is missing."""
    userinfo: dict[str, Any] | None = None
    """What it tells of a person; None: nothing."""
    answer: dict[str, str] = field(default_factory=dict)
    """What is other in its answers to the browser."""
    sign: Callable[[dict[str, Any]], str] | None = None
    """Makes an ID token of its claims in another way."""
    token_answer: tuple[int, bytes] | None = None
    """In place of that of the token endpoint."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """What came to the token endpoint, with its Authorization."""
    paths: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def behave(self) -> None:
        """Be as at first, but for the keys."""
        for one in (self.metadata, self.claims, self.answer, self.codes):
            one.clear()
        self.asked.clear()
        self.userinfo = self.sign = self.token_answer = None

    def documents(self) -> dict[str, Any]:
        """Return what it says of itself, by path."""
        stated = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/logout",
            **self.metadata,
        }
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {
            "/.well-known/openid-configuration": {k: v for k, v in stated.items() if v is not None},
            "/keys": {"keys": [{**jwk, "kid": self.kid, "use": "sig"}]},
            "/userinfo": self.userinfo,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser goes on to."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        told = {"code": code, "state": asked["state"], **self.answer}
        return f"{asked['redirect_uri']}?{urlencode({k: v for k, v in told.items() if v})}"

    def tokens(self, told: dict[str, str]) -> tuple[int, bytes]:
        """Answer a request for tokens: a code is good once, with its verifier."""
        self.asked.append(told)
        if self.token_answer is not None:
            return self.token_answer
        asked = self.codes.pop(told.get("code", ""), None)
        if asked is None or _challenge(told["code_verifier"]) != asked["code_challenge"]:
            return 400, b'{"error": "invalid_grant", "error_description": "<b>secret</b>"}'
        claims = self.id_token_claims(asked["nonce"])
        id_token = (self.sign or self.signed)(claims)
        answer = {"access_token": "of-access", "token_type": "Bearer", "id_token": id_token}
        return 200, json.dumps(answer).encode()

    def id_token_claims(self, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token."""
        now = int(time.time())
        told = {
            "iss": self.url,
            "sub": "ada-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "name": "Ada Lovelace",
            "groups": ["doctors"],
            **self.claims,
        }
        return {name: value for name, value in told.items() if value is not None}

    def signed(self, claims: dict[str, Any], **headers: Any) -> str:
        """Return an ID token."""
        return jwt.encode(claims, self.key, "RS256", {"kid": self.kid, **headers})


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def odd_provider() -> Iterator[OddProvider]:
    """Run such a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.paths.append(parts.path)
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(dict(parse_qsl(parts.query))))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            found = provider.documents().get(parts.path)
            self._send(404 if found is None else 200, json.dumps(found).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told = {**dict(parse_qsl(body)), "authorization": self.headers["Authorization"] or ""}
            self._send(*provider.tokens(told))

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = OddProvider(f"http://localhost:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
