"""Telephones that others wrote, as subprocesses on loopback: baresip, linphonec and sipp."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.audio.resample import resample
from agent.transports.sip import rtp
from agent.transports.sip.g711 import PCMU
from tests.ports import free_port

RATE = 8_000
_LIMIT_S = 12.0

BARESIP_OPUS = {"modules": "opus", "account": "audio_codecs=opus/48000/2"}
"""Of a baresip that knows nothing but Opus."""


def require(program: str) -> str:
    """Path of a peer. Missing, the test is skipped, which CI counts as a failure."""
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program} is missing: sh tools/system-packages.sh test")
    return found


def telephone_wav(path: Path, pcm: np.ndarray, *, opus: bool = False) -> Path:
    """Save 8 kHz audio as the peers read it: Opus wants a file of its own rate, and stereo."""
    if opus:
        wide = resample(pcm, RATE, 48_000)
        soundfile.write(path, np.stack([wide, wide], axis=1), 48_000, subtype="PCM_16")
    else:
        soundfile.write(path, pcm, RATE, subtype="PCM_16")
    return path


class Program:
    """A peer with its output read line by line."""

    def __init__(self, arguments: list[str], cwd: Path, **options) -> None:
        self.process = subprocess.Popen(
            arguments,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,
        )
        self.home = cwd
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, command: str) -> None:
        """Type a line."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()

    def until(self, *wanted: str, limit_s: float = _LIMIT_S) -> str:
        """Wait for a line that holds one of `wanted`."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                pytest.fail(f"none of {wanted} from the peer:\n{self.output()}", pytrace=False)
            if any(words in line for words in wanted):
                return line

    def output(self) -> str:
        return "".join(self.lines[-60:])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _read(self) -> None:
        for line in self.process.stdout:
            if "bit/s)" in line or not line.strip():
                continue  # a clock on the screen
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)


class Baresip(Program):
    """The softphone baresip: plays a file, records what it hears, tells events as JSON."""

    def __init__(
        self,
        home: Path,
        question: Path | None,
        *,
        auto_answer: bool = False,
        tls: Path | None = None,
        modules: str = "",
        account: str = "audio_codecs=PCMU",
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = _free_pair()
        control, self._console = free_port(), free_port()
        if question is None:
            hum = 8000 * np.sin(2 * np.pi * 300 * np.arange(20 * RATE) / RATE)
            opus = "opus" in modules
            question = telephone_wav(home / "hum.wav", hum.astype(np.int16), opus=opus)
        # What an account names must be there before it is read.
        loaded = f"{modules} g711 account menu aufile aubridge sndfile ctrl_tcp cons".split()
        (home / "config").write_text(
            f"sip_listen 127.0.0.1:{self.port}\n"
            f"ctrl_tcp_listen 127.0.0.1:{control}\ncons_listen 127.0.0.1:{self._console}\n"
            f"audio_source aufile,{question}\naudio_player aubridge,nil\naudio_alert aubridge,nil\n"
            f"audio_srate 8000\naudio_channels 1\nsnd_path {home}\n"
            f"module_path {_baresip_modules()}\n"
            + (f"sip_certificate {tls}\nsip_cafile {tls}\n" if tls else "")
            + "".join(f"module {name}.so\n" for name in loaded)
        )
        mode = "auto" if auto_answer else "manual"
        (home / "accounts").write_text(
            f"<sip:tester@127.0.0.1>;regint=0;{account};answermode={mode}\n"
        )
        (home / "contacts").write_text("")
        program = require("baresip")
        super().__init__([program, "-f", str(home), "-n", "127.0.0.1"], home)
        self.until("baresip is ready")
        self._control = socket.create_connection(("127.0.0.1", control))
        self._received = b""

    def command(self, name: str, parameters: str = "") -> None:
        body = json.dumps({"command": name, "params": parameters}).encode()
        self._control.sendall(f"{len(body)}:".encode() + body + b",")

    def call(self, uri: str, lasting_s: float) -> None:
        """Call, stay on the line for so long, and hang up."""
        self.command("dial", uri)
        self.event("CALL_ESTABLISHED")
        time.sleep(lasting_s)
        self.command("hangup")
        self.event("CALL_CLOSED")

    def press(self, key: str) -> None:
        """Press a key, and let it go."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console:
            console.sendto(key.encode(), ("127.0.0.1", self._console))
            time.sleep(0.15)
            console.sendto(b"\x04", ("127.0.0.1", self._console))
            time.sleep(0.1)

    def event(self, kind: str, limit_s: float = _LIMIT_S) -> dict:
        """Wait for an event of this type."""
        deadline = time.monotonic() + limit_s
        while True:
            while (message := self._message()) is not None:
                if message.get("event") and message.get("type") == kind:
                    return message
            self._control.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                self._received += self._control.recv(65536)
            except TimeoutError:
                pytest.fail(f"no {kind} from baresip:\n{self.output()}", pytrace=False)

    def recording(self) -> Path:
        """What it heard in its last call; complete once the call is over."""
        return max(self.home.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)

    def stop(self) -> None:
        self._control.close()
        super().stop()

    def _message(self) -> dict | None:
        length, colon, rest = self._received.partition(b":")
        if not colon or len(rest) <= int(length):
            return None
        self._received = rest[int(length) + 1 :]
        return json.loads(rest[: int(length)])


def _free_pair() -> int:
    """A free port with a free one behind it, which baresip takes for TLS, wanted or not."""
    while True:
        port = free_port()
        with socket.socket() as connections, contextlib.suppress(OSError):
            connections.bind(("127.0.0.1", port + 1))
            return port


def _baresip_modules() -> Path:
    return next(
        path.parent
        for root in ("/usr/lib", "/usr/local/lib")
        for path in Path(root).glob("**/baresip/modules/g711.so")
    )


class Linphone(Program):
    """The softphone linphonec, with files for a sound card."""

    def __init__(self, home: Path, *, codecs: tuple[str, ...] = ("PCMU",)) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        (home / "linphonerc").write_text(
            f"[sip]\nsip_port={self.port}\nsip_tcp_port=-2\nsip_tls_port=0\n"
            "use_ipv6=0\ndefault_proxy=-1\nuse_info=0\nuse_rfc2833=1\nregister_only_when_network_is_up=0\n"
            "[net]\nmtu=1300\n[video]\ndisplay=0\ncapture=0\n[sound]\nechocancellation=0\n"
            + "".join(
                f"[audio_codec_{i}]\nmime={mime}\nrate={rate}\nchannels={channels}\n"
                f"enabled={int(mime in codecs)}\n"
                for i, (mime, rate, channels) in enumerate(
                    [
                        ("opus", 48000, 2),
                        ("speex", 16000, 1),
                        ("speex", 8000, 1),
                        ("PCMU", 8000, 1),
                        ("PCMA", 8000, 1),
                    ]
                )
            )
        )
        (home / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"HOME": str(home)}
        arguments = [require("linphonec"), "-c", str(home / "linphonerc")]
        super().__init__(arguments, home, env=environment)
        self.say("soundcard use files")

    def stop(self) -> None:
        self.say("quit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        super().stop()


class Ear(threading.Thread):
    """A UDP port that keeps the audio sent to it: sipp plays, but does not record."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        self.port = self._socket.getsockname()[1]
        self.packets = []
        self.arrivals: list[float] = []
        self._enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            with contextlib.suppress(TimeoutError):
                packet = rtp.parse(self._socket.recv(2048))
                if packet:
                    self.packets.append(packet)
                    self.arrivals.append(time.monotonic())
        self._socket.close()

    def pcm(self) -> np.ndarray:
        """What was heard, in order, 8 kHz."""
        self._enough.set()
        self.join()
        audio = [p.payload for p in self.packets if p.payload_type == 0]
        return PCMU.decode(b"".join(audio))


def sipp(scenario: str, port: int, cwd: Path, *options: str) -> Program:
    """Run a scenario against our user agent."""
    cwd.mkdir(parents=True, exist_ok=True)
    (cwd / "scenario.xml").write_text(scenario)
    home = ["-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(free_port() & ~1)]
    limits = ["-nostdin", "-timeout_error", "-timeout", "60s", "-recv_timeout", "20000"]
    arguments = [require("sipp"), f"127.0.0.1:{port}", "-sf", "scenario.xml", *home, *limits]
    return Program([*arguments, *options], cwd)


def require_success(peer: Program) -> None:
    """Wait for the end of a sipp run; every call must have gone as its scenario says."""
    if peer.process.wait(90):
        errors = [path.read_text()[:2000] for path in peer.home.glob("*errors.log")]
        pytest.fail("\n".join([peer.output(), *errors]), pytrace=False)
