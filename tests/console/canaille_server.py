"""Canaille, a real provider of OpenID Connect, with people in memory: a process of its own.

Its arguments are its port and a JSON object: the client and where it may be sent back to, and the
groups of each person, whose password is `PASSWORD`.
"""

import datetime
import json
import sys
from importlib import import_module
from typing import Any, Final

PASSWORD: Final = "correct horse battery"


def application(port: int, told: dict[str, Any]) -> Any:
    """Return the provider's WSGI application."""
    keys = import_module("joserfc.jwk")
    key = keys.RSAKey.generate_key(2048, auto_kid=True)
    configuration = {
        "SECRET_KEY": "of tests alone",
        "SERVER_NAME": f"localhost:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "FORCE_HTTPS": False, "LOGGING": None},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
    made = import_module("canaille").create_app(configuration)
    with made.app_context():
        _populate(told)
    return made


def _populate(told: dict[str, Any]) -> None:
    backend = import_module("canaille.backends").Backend.instance
    models = import_module("canaille.app.models")
    groups: dict[str, list[Any]] = {}
    for name, held in told["people"].items():
        person = models.User(
            formatted_name=f"{name.title()} Example",
            family_name="Example",
            user_name=name,
            emails=[f"{name}@hospital.example"],
            password=PASSWORD,
        )
        backend.save(person)
        for one in held:
            groups.setdefault(one, []).append(person)
    for name, members in groups.items():
        backend.save(models.Group(display_name=name, members=members))
    now = datetime.datetime.now(datetime.UTC)
    for one in told["clients"]:
        client = models.Client(
            client_id_issued_at=now,
            client_name="xds console",
            client_uri="http://127.0.0.1",
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "groups"],
            **one,
        )
        backend.save(client)
        client.audience = [client]
        backend.save(client)


def main() -> None:
    """Serve until the process is ended."""
    port = int(sys.argv[1])
    serve = import_module("werkzeug.serving").run_simple
    serve("127.0.0.1", port, application(port, json.loads(sys.argv[2])), threaded=True)


if __name__ == "__main__":
    main()
