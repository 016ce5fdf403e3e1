"""What another account of this machine can do to a run. Runs as that account, with Python's standard library alone.

`attack` starts this file as a script. It reads what to try from standard input, and prints what succeeded.
"""

import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

UID = 64_999
"""An account that has no process and no file."""
PYTHON = "/usr/bin/python3"
"""That account may not be allowed to run the project's own."""


def attack(target: dict[str, Any]) -> dict[str, Any]:
    """What the account can do with `target`: `paths`, `pids`, `requests`, `mysql_port` and `users`."""
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    command = [*([] if os.geteuid() == 0 else ["sudo", "-n"]), *become, PYTHON, "-I", "-c", Path(__file__).read_text()]
    done = subprocess.run(command, input=json.dumps(target), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _main() -> None:
    target = json.load(sys.stdin)
    result = {
        "account": [os.getuid(), os.geteuid(), os.getgroups()],
        "read": [path for path in target["paths"] if _readable(path)],
        "environments": [pid for pid in target["pids"] if _readable(f"/proc/{pid}/environ")],
        "commands": [Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") for pid in target["pids"]],
        "statuses": {f"{method} {url}": _status(method, url, body) for method, url, body in target["requests"]},
        "logins": [user for user in target["users"] if _mysql_login(target["mysql_port"], user)],
    }
    sys.stdout.write(json.dumps(result))


def _readable(path: str) -> bool:
    """Whether a file or folder can be read, or a socket be connected to."""
    try:
        _ = list(Path(path).iterdir()) if Path(path).is_dir() else Path(path).read_bytes()
    except OSError:
        return False
    return True


def _status(method: str, url: str, body: object) -> int:
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    text = None if body is None else json.dumps(body)
    connection.request(method, f"{address.path}?{address.query}", text, {"Content-Type": "application/json"})
    return connection.getresponse().status


def _mysql_login(port: int, user: str) -> bool:
    """Whether the user can log in without a password: the server's last packet is no error."""
    with create_connection(("127.0.0.1", port), 30) as server:
        _packet(server.recv(4096))
        flags, packet_size, utf8mb4 = 0x0008_8201, 2**24 - 1, 45  # 4.1, secure connection, plugin's name
        answer = flags.to_bytes(4, "little") + packet_size.to_bytes(4, "little") + bytes([utf8mb4]) + bytes(23)
        answer += user.encode() + bytes(2) + b"mysql_native_password\0"
        server.sendall(len(answer).to_bytes(3, "little") + b"\1" + answer)
        return _packet(server.recv(4096))[0] == 0


def _packet(data: bytes) -> bytes:
    return data[4:]


if __name__ == "__main__":
    _main()
