"""A small IMAP server that speaks the real wire over TLS: log-in, folders, UIDs, literals; and, if a test says so, what no good server says."""

from __future__ import annotations

import base64
import re
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

USER, PASSWORD = "bounces@example.org", 'pä"ss\\word'
TODAY = date(2026, 6, 1)


@dataclass
class Mail:
    uid: int
    raw: bytes
    came: date = TODAY
    flags: set[str] = field(default_factory=set)


@dataclass
class Box:
    """What lies on the server. `quirk`: command -> what it answers instead of doing it, given its tag and arguments; `hangs`: commands that get no answer."""

    folders: dict[str, list[Mail]] = field(default_factory=lambda: {"INBOX": [], "Done": []})
    validity: int = 7
    next_uid: int = 1
    capabilities: str = "IMAP4rev1 AUTH=PLAIN MOVE STARTTLS"
    password: str = PASSWORD
    quirk: dict[str, Callable[[str, str], bytes]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    drips: bool = False
    injects: bytes = b""
    """What somebody in between adds to the answer to STARTTLS."""
    said: list[str] = field(default_factory=list)
    """The commands, without what they say of passwords."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def arrives(self, raw: bytes, folder: str = "INBOX", came: date = TODAY) -> int:
        with self.lock:
            mail = Mail(self.next_uid, raw, came)
            self.next_uid += 1
            self.folders[folder].append(mail)
            return mail.uid

    def renumbers(self) -> None:
        """As after a restore of the server."""
        with self.lock:
            self.validity += 1
            for number, mail in enumerate(self.folders["INBOX"], 1):
                mail.uid = number
            self.next_uid = len(self.folders["INBOX"]) + 1


class _Session(socketserver.StreamRequestHandler):
    server: ImapServer

    def handle(self) -> None:
        self.box, self.folder, self.is_in = self.server.box, "", False
        try:
            if not self.server.starts_plain:
                self._encrypt()
            self._say("* OK [CAPABILITY IMAP4rev1] ready")
            while line := self.rfile.readline():
                if not self._do(line.decode("utf-8", "replace").rstrip("\r\n")):
                    return
        except (OSError, ValueError):
            return
        finally:
            for one in (self.rfile, self.wfile, self.request):
                one.close()

    def _encrypt(self) -> None:
        self.rfile.close()
        self.wfile.close()
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)

    def _say(self, *lines: str | bytes) -> None:
        for line in lines:
            raw = line if isinstance(line, bytes) else line.encode()
            self.wfile.write(raw + b"\r\n")

    def _do(self, line: str) -> bool:
        tag, _, rest = line.partition(" ")
        command, _, arguments = rest.partition(" ")
        command = command.upper()
        if command == "UID":
            command, _, arguments = arguments.partition(" ")
            command = f"UID {command.upper()}"
        self.box.said.append(command if command in ("LOGIN", "AUTHENTICATE") else f"{command} {arguments}".strip())
        if command in self.box.hangs:
            while self.box.drips:
                self.wfile.write(b"* OK still here\r\n")
                time.sleep(0.02)
            self.server.over.wait(20)
            return False
        if quirk := self.box.quirk.get(command):
            self.wfile.write(quirk(tag, arguments))
            return True
        with self.box.lock:
            return self._answer(tag, command, arguments)

    def _answer(self, tag: str, command: str, arguments: str) -> bool:
        if command == "CAPABILITY":
            self._say(f"* CAPABILITY {self.box.capabilities}")
        elif command == "STARTTLS":
            self.wfile.write(f"{tag} OK go ahead\r\n".encode() + self.box.injects)
            self._encrypt()
            return True
        elif command == "AUTHENTICATE":
            self._say("+ ")
            _, user, password = base64.b64decode(self.rfile.readline()).decode().split("\0")
            return self._log_in(tag, user, password)
        elif command == "LOGIN":
            user, password = (re.sub(r"\\(.)", r"\1", one) for one in re.findall(r'"((?:[^"\\]|\\.)*)"', arguments))
            return self._log_in(tag, user, password)
        elif command == "LOGOUT":
            self._say("* BYE", f"{tag} OK bye")
            return False
        elif not self.is_in:
            self._say(f"{tag} BAD log in first")
            return True
        elif command in ("SELECT", "EXAMINE"):
            return self._select(tag, _name(arguments), command == "EXAMINE")
        elif command == "STATUS":
            there = _name(arguments.rpartition(" (")[0]) in self.box.folders
            self._say(f"{tag} OK done" if there else f"{tag} NO no such folder")
            return True
        elif command == "UID SEARCH":
            after, since = re.fullmatch(r"UID (\d+):\* SINCE (\S+)", arguments).groups()  # type: ignore[union-attr]
            day = date(int(since[-4:]), "JanFebMarAprMayJunJulAugSepOctNovDec".index(since[-8:-5]) // 3 + 1, int(since[:-9]))
            mails = [mail for mail in self.mails if mail.uid >= int(after)] or self.mails[-1:]
            self._say("* SEARCH " + " ".join(str(mail.uid) for mail in mails if mail.came >= day))
        elif command == "UID FETCH":
            uid, most = re.fullmatch(r"(\d+) \(UID BODY\.PEEK\[\]<0\.(\d+)>\)", arguments).groups()  # type: ignore[union-attr]
            for mail in self.mails:
                if mail.uid == int(uid):
                    part = mail.raw[: int(most)]
                    self._say(
                        "* 1 FETCH (FLAGS (\\Recent))", f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(part)}}}".encode() + b"\r\n" + part + b")"
                    )
        elif command == "UID STORE":
            for mail in self._of(arguments.partition(" ")[0]):
                mail.flags.add("\\Seen")
        elif command == "UID MOVE":
            uids, _, target = arguments.partition(" ")
            for mail in self._of(uids):
                self.box.folders[_name(target)].append(mail)
                self.mails.remove(mail)
        self._say(f"{tag} OK done")
        return True

    @property
    def mails(self) -> list[Mail]:
        return self.box.folders[self.folder]

    def _of(self, uids: str) -> list[Mail]:
        return [mail for mail in self.mails if str(mail.uid) in uids.split(",")]

    def _log_in(self, tag: str, user: str, password: str) -> bool:
        self.is_in = (user, password) == (USER, self.box.password)
        self._say(f"{tag} OK in" if self.is_in else f"{tag} NO [AUTHENTICATIONFAILED] wrong: {password}")
        return True

    def _select(self, tag: str, name: str, read_only: bool) -> bool:
        if name not in self.box.folders:
            self._say(f"{tag} NO no such folder")
            return True
        self.folder = name
        self._say(
            f"* {len(self.mails)} EXISTS",
            f"* OK [UIDVALIDITY {self.box.validity}] valid",
            f"* OK [UIDNEXT {self.box.next_uid}] next",
            f"{tag} OK [{'READ-ONLY' if read_only else 'READ-WRITE'}] selected",
        )
        return True


def _name(argument: str) -> str:
    return re.sub(r"\\(.)", r"\1", argument.strip()[1:-1])


class ImapServer(socketserver.ThreadingTCPServer):
    """On a port of its own until `close`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, box: Box, certificate: Path, *, starts_plain: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.box, self.starts_plain, self.over = box, starts_plain, threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.box.drips = False
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none."""
