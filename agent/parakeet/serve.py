"""``duplex asr-server``: run the front until it is told to stop."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import uvicorn
from loguru import logger

from agent.errors import MissingModelError, SettingsError
from agent.listener import listening_on
from agent.loopback import is_loopback
from agent.models.store import locate
from agent.parakeet.app import build_app
from agent.parakeet.arguments import count, port, seconds, wait
from agent.parakeet.device import WorkerSettings
from agent.parakeet.dispatch import QueueSettings
from agent.parakeet.notice import Address, source_of, wait_for_notice
from agent.parakeet.service import Service, ServiceSettings

ENGINES = {
    "nemo": "agent.parakeet.nemo:open_engine",
    "triton": "agent.parakeet.triton:open_engine",
    "fake": "agent.parakeet.fake:open_engine",
}

_BACKLOG = 512
"""Connections that may wait to be accepted: a burst of clients that come back."""

KEYS = "DUPLEX_ASR_KEYS"
"""Environment variable with the keys that open the server, separated by commas."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port, default=8010, help="0 for any free one")
    parser.add_argument(
        "--engine", default="nemo", help="nemo, triton, fake, or package.module:factory"
    )
    parser.add_argument("--model", help="checkpoint: a .nemo file or a name on the hub")
    parser.add_argument(
        "--device", action="append", help="cuda:0, cpu, npu:0; again for another worker"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the engine, VALUE as JSON",
    )
    parser.add_argument(
        "--worker-python", default=sys.executable, help="interpreter of the environment with NeMo"
    )
    parser.add_argument("--deadline", type=seconds, default=10.0, help="of a live utterance, s")
    parser.add_argument("--file-deadline", type=seconds, default=1800.0, help="of a recording, s")
    parser.add_argument("--live-wait", type=wait, default=1.0, help="longest queue admitted to, s")
    parser.add_argument("--file-wait", type=wait, default=60.0, help="the same for recordings, s")
    parser.add_argument("--hang", type=seconds, default=20.0, help="a longer call has hung, s")
    parser.add_argument("--grace", type=wait, default=30.0, help="for a drain, s")
    parser.add_argument(
        "--drain-on",
        metavar="SOURCE",
        help="drain when this machine is about to be taken away: aws, gcp, azure, "
        "an http:// address that answers 200 then, or a file that appears",
    )
    parser.add_argument(
        "--open", action="store_true", help=f"let in whoever reaches it, without {KEYS}"
    )
    parser.add_argument("--max-sessions", type=count, default=512, help="native sessions at once")
    parser.add_argument("--checkpoints", type=Path, help="folder for progress of long recordings")
    parser.add_argument(
        "--no-guards", action="store_true", help="decode silence and silent tails too"
    )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The address and the service behind it."""

    host: str
    port: int
    grace_s: float
    max_sessions: int
    keys: tuple[str, ...]
    notice: Address | Path | None
    service: ServiceSettings


def settings_of(options: argparse.Namespace, environ: Mapping[str, str]) -> ServeSettings:
    """Read the command's options.

    Raises:
        SettingsError: A value cannot be used; the message names it.
    """
    factory = ENGINES.get(options.engine, options.engine)
    if ":" not in factory:
        known = ", ".join(ENGINES)
        raise SettingsError(f"--engine {options.engine!r} is none of {known}, nor module:factory")
    config = dict(_setting(text) for text in options.set)
    if options.model:
        config["model"] = options.model
    devices = options.device or [None]
    workers = tuple(
        WorkerSettings(
            factory,
            config | ({"device": device} if device else {}),
            hang_s=options.hang,
            python=options.worker_python,
        )
        for device in devices
    )
    keys = tuple(key for key in environ.get(KEYS, "").split(",") if key)
    if not (keys or options.open or is_loopback(options.host)):
        raise SettingsError(
            f"refusing to listen on {options.host} without a key: anybody who reaches this machine "
            f"could use it. Set {KEYS} to a secret, such as the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(24))"; or give --open, where '
            "something else keeps strangers out"
        )
    checkpoints = options.checkpoints or Path(platformdirs.user_cache_dir("duplex")) / "asr"
    return ServeSettings(
        host=options.host,
        port=options.port,
        grace_s=options.grace,
        max_sessions=options.max_sessions,
        keys=keys,
        notice=source_of(options.drain_on) if options.drain_on else None,
        service=ServiceSettings(
            workers=workers,
            queue=QueueSettings(live_wait_s=options.live_wait, file_wait_s=options.file_wait),
            deadline_s=options.deadline,
            file_deadline_s=options.file_deadline,
            checkpoints=checkpoints,
            vad=_vad(is_needed=not options.no_guards),
            has_guards=not options.no_guards,
        ),
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, drain, and return the exit code."""
    settings = settings_of(options, os.environ)
    try:
        asyncio.run(serve(settings))
    except* SettingsError as errors:
        # A task group's wrapping means nothing to who typed the command.
        raise _first(errors) from None
    return 0


async def serve(settings: ServeSettings) -> None:
    """Listen at once, load the models, serve, drain.

    Raises:
        SettingsError: The address is taken, or no worker can ever start (in an ExceptionGroup).
    """
    remedy = "give another --port, or 0 for any"
    listener = listening_on(settings.host, settings.port, _BACKLOG, remedy)
    service = Service(settings.service)
    app = build_app(service, settings.keys, settings.max_sessions)
    config = uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=16 << 20,
        # Connections that say nothing after a drain are cut.
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    server = _Server(config, service, settings.grace_s)
    async with service.running():
        host, port = listener.getsockname()[:2]
        print(f"Duplex ASR listens on http://{host}:{port}", flush=True)
        watching = asyncio.create_task(_watch(settings.notice, server))
        try:
            await server.serve(sockets=[listener])
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _watch(notice: Address | Path | None, server: "_Server") -> None:
    if notice is not None:
        source = await wait_for_notice(notice)
        logger.warning("this machine will be taken away, says {}", source)
        server.start_draining()


class _Server(uvicorn.Server):
    """Drains on a signal or a notice, instead of closing at once."""

    def __init__(self, config: uvicorn.Config, service: Service, grace_s: float) -> None:
        super().__init__(config)
        self._service = service
        self._grace_s = grace_s
        self._is_told = False
        self._drain: asyncio.Task[None] | None = None

    def start_draining(self) -> None:
        """Stop being ready at once, then end; asking twice is no error."""
        if self._drain is None:
            self._service.start_draining(self._grace_s)
            self._drain = asyncio.create_task(self._stop())

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain; a second signal does not wait for it."""
        # A signal handler runs between any two byte codes: the loop does the rest, and is woken.
        asyncio.get_running_loop().call_soon_threadsafe(self._exit)

    def _exit(self) -> None:
        # The signal that follows a notice is the first, and waits for the drain.
        if self._is_told:
            self._service.drained.set()
            self.force_exit = self.should_exit = True
        self._is_told = True
        self.start_draining()

    async def _stop(self) -> None:
        await self._service.drain(self._grace_s)
        # Not uvicorn's own handler: it raises the signal again, before the workers are closed.
        self.should_exit = True


def _setting(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    if not found:
        raise SettingsError(f"--set {text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _vad(*, is_needed: bool) -> Path | None:
    """The speech detector: for the guards, and for clients that let the server find the turns."""
    try:
        return locate("silero-vad") / "silero_vad.onnx"
    except MissingModelError as error:
        if not is_needed:
            return None
        raise MissingModelError(f"{error}; or give --no-guards") from error


def _first(errors: BaseExceptionGroup[SettingsError]) -> SettingsError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, SettingsError)
    return error
