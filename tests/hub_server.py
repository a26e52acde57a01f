"""A small Hugging Face Hub in this process: what downloads and uploads ask for, and faults on request.

Use: `with HubServer() as hub: hub.add("me/model", commit, "config.json", b"{}")`, and HF_ENDPOINT set to `hub.url`.
"""

import base64
import hashlib
import json
import math
import re
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import unquote

RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
MODEL = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
TREE = re.compile(r"/api/(model|space)s/(?P<repo>[^/]+/[^/]+)/tree/main")
LFS = re.compile(r"/lfs/(?P<sha>[0-9a-f]{64})")
PREUPLOAD = re.compile(r"/api/(model|space)s/(?P<repo>[^/]+/[^/]+)/preupload/main")
COMMIT = re.compile(r"/api/(?P<kind>model|space)s/(?P<repo>[^/]+/[^/]+)/commit/main")
BATCH = re.compile(r"/(spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")


@dataclass
class Fault:
    """What goes wrong with the next requests.

    Attributes:
        kind: "close" ends and "reset" resets the connection once byte `at` of the file is reached, however often the
            client resumes; "short" announces and sends `at` bytes only; "status" answers everything with `at`,
            "upload" what large files are put to.
        at: byte or HTTP status.
        times: how many requests it hits before all is well again.
    """

    kind: Literal["close", "reset", "short", "status", "upload"]
    at: int
    times: float = math.inf


class HubServer:
    """A Hub on a free port of this machine; a context manager.

    Attributes:
        repos: repository -> commit -> file -> content. The commit added last is `main`.
        kinds: repository -> what `create_repo` was told of it: "type", "sdk".
        token: who uploads must bear it.
        requests: "METHOD path" of every request so far.
        fault: what goes wrong, if anything.
        gate: downloads wait until it is set; it is from the start.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.kinds: dict[str, dict[str, str]] = {}
        self.uploaded: dict[str, bytes] = {}
        self.token = "hf_test"
        self.requests: list[str] = []
        self.fault: Fault | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.cdn = f"http://localhost:{self._server.server_port}"
        # The poll interval is how long close() may take.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go down: from now on connections are refused."""
        self.gate.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def add(self, repo: str, revision: str, file: str, content: bytes) -> None:
        """Put a file into a commit, which is made if new."""
        self.repos.setdefault(repo, {}).setdefault(revision, {})[file] = content

    def count(self, method: str) -> int:
        """How many requests of a method came so far."""
        return sum(line.startswith(method + " ") for line in self.requests)

    def take_fault(self, *kinds: str) -> Fault | None:
        """The fault, if it is one of these kinds and not used up."""
        with self.lock:
            if self.fault is None or self.fault.kind not in kinds or self.fault.times <= 0:
                return None
            self.fault.times -= 1
            return self.fault


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        content = self._body()
        sha = hashlib.sha256(content).hexdigest()
        matches = self.path == f"/lfs/{sha}"
        if fault := self.hub.take_fault("upload"):
            self._send(fault.at)
            return
        if matches:
            self.hub.uploaded[sha] = content
        self._send(200 if matches else 400)

    def do_POST(self) -> None:
        path, body = unquote(self.path.split("?")[0]), self._body()
        with self.hub.lock:
            self.hub.requests.append(f"POST {path}")
        if fault := self.hub.take_fault("status"):
            self._send(fault.at)
        elif self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._send(401)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif PREUPLOAD.fullmatch(path):
            files = json.loads(body)["files"]
            modes = {f["path"]: "lfs" if f["path"].endswith(".safetensors") else "regular" for f in files}
            self._json({"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]})
        elif BATCH.fullmatch(path):
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif found := COMMIT.fullmatch(path):
            self._commit_files(found["kind"], found["repo"], [json.loads(line) for line in body.splitlines()])
        else:
            self._send(404)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _create(self, asked: dict[str, str]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        is_there = name in self.hub.kinds
        self.hub.kinds.setdefault(name, asked)
        self._json({"url": f"{self.hub.url}/{name}"}, 409 if is_there else 200)

    def _commit_files(self, kind: str, repo: str, lines: list[dict[str, Any]]) -> None:
        """Add the files of a commit to those of the one before."""
        if repo not in self.hub.kinds:
            self._send(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return
        commits = self.hub.repos.setdefault(repo, {})
        files = dict(commits[list(commits)[-1]]) if commits else {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploaded[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = hashlib.sha1(json.dumps(lines).encode()).hexdigest()
        commits[oid] = files
        place = repo if kind == "model" else f"spaces/{repo}"
        self._json({"commitUrl": f"{self.hub.url}/{place}/commit/{oid}", "commitOid": oid})

    def _json(self, value: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        self._send(status, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(self.path.split("?")[0])
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {path}")
        fault = self.hub.take_fault("status")
        if fault:
            self._send(fault.at)
        elif found := RESOLVE.fullmatch(path):
            self._resolve(found["repo"], found["revision"], found["file"])
        elif found := MODEL.fullmatch(path):
            self._model(found["repo"], found["revision"] or "main")
        elif found := TREE.fullmatch(path):
            self._tree(found["repo"])
        elif found := LFS.fullmatch(path):
            self._lfs(found["sha"])
        else:
            self._send(404)

    def _commit(self, repo: str, revision: str) -> str | None:
        """The commit a revision means; answers the request and returns None where there is none."""
        commits = self.hub.repos.get(repo)
        if commits is None:
            self._send(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return None
        commit = list(commits)[-1] if revision == "main" else revision
        if commit not in commits:
            self._send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"})
            return None
        return commit

    def _resolve(self, repo: str, revision: str, file: str) -> None:
        commit = self._commit(repo, revision)
        if commit is None:
            return
        headers = {"X-Repo-Commit": commit}
        content = self.hub.repos[repo][commit].get(file)
        if content is None:
            self._send(404, headers | {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        elif file.endswith(".safetensors"):
            # As the Hub does with large files: a redirect to another host, and the sha256 as ETag.
            sha = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-ETag": f'"{sha}"', "X-Linked-Size": str(len(content))}
            self._send(302, headers | {"Location": f"{self.hub.cdn}/lfs/{sha}"})
        else:
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self._content(content, headers | {"ETag": f'"{blob}"'})

    def _lfs(self, sha: str) -> None:
        contents = (c for commits in self.hub.repos.values() for files in commits.values() for c in files.values())
        content = next((c for c in contents if hashlib.sha256(c).hexdigest() == sha), None)
        if content is None:
            self._send(404)
        else:
            self._content(content, {"ETag": f'"{sha}"'})

    def _model(self, repo: str, revision: str) -> None:
        commit = self._commit(repo, revision)
        if commit is not None:
            siblings = [{"rfilename": file} for file in self.hub.repos[repo][commit]]
            body = json.dumps({"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": siblings})
            self._content(body.encode(), {"Content-Type": "application/json"})

    def _tree(self, repo: str) -> None:
        """The files of the last commit; none in a repository that is new."""
        commits = list(self.hub.repos.get(repo, {"": {}}).values())
        files = [{"type": "file", "path": path, "oid": "", "size": len(c)} for path, c in commits[-1].items()]
        self._content(json.dumps(files).encode(), {"Content-Type": "application/json"})

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        if self.command == "HEAD":
            self._send(200, headers | {"Content-Length": str(len(content))})
            return
        self.hub.gate.wait(timeout=10)
        fault = self.hub.take_fault("close", "reset", "short")
        end = fault.at if fault else len(content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked:
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        announced = end if fault and fault.kind == "short" else len(content)
        self._send(206 if asked else 200, headers | {"Content-Length": str(announced - start)}, content[start:end])
        if fault and fault.kind == "reset":
            # A linger of zero seconds makes close() send RST in place of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        # One request a connection, so that a server that is down has no connection left.
        for name, value in ({"Content-Length": "0"} | (headers or {}) | {"Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
