"""Command line: serve, call, talk, replay, bench and others. Parsing only; running is elsewhere."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from agent.errors import DuplexError, SettingsError
from agent.logs import set_up_logging
from agent.settings import Settings, load

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command is not _asr_server:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        settings = load(options.config)
        set_up_logging(verbose=options.verbose, form=settings.logs.format)
        command: Command = options.command
        return command(options, settings)
    except DuplexError as error:
        print(f"duplex: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="duplex", description="Talk to agents that listen.")
    parser.add_argument("--config", type=Path, help="YAML file with settings")
    parser.add_argument("--verbose", action="store_true", help="show what happens inside")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the page and the sockets")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port to listen on; 0 for any free one")
    serve.add_argument("--sip", action="store_true", help="also answer telephone calls over SIP")
    serve.set_defaults(command=_serve)

    run = commands.add_parser("run", help="serve the agent of a YAML file")
    run.add_argument("file", type=Path)
    run.add_argument("--host", help="address to listen on")
    run.add_argument("--port", type=int, help="port to listen on; 0 for any free one")
    run.set_defaults(command=_run)

    call = commands.add_parser("call", help="call somebody over SIP")
    call.add_argument("to", help="sip:anna@192.168.1.20, or a number of sip.registrar's")
    call.add_argument("--agent", type=Path, metavar="FILE", help="YAML file of who calls")
    call.add_argument("--ring", type=float, default=45.0, help="seconds it may ring")
    call.add_argument(
        "--detect-machines", action="store_true", help="find out first whether a person answers"
    )
    call.add_argument("--voicemail", metavar="TEXT", help="told to a machine after its beep")
    call.set_defaults(command=_call)

    record = commands.add_parser("record", help="serve, and keep conversations to replay them")
    record.add_argument("file", type=Path, nargs="?", help="the agent's YAML file")
    record.add_argument("--to", type=Path, required=True, help="folder for the conversations")
    record.add_argument(
        "--told", action="store_true", help="callers know already; otherwise the agent asks them"
    )
    record.add_argument("--host", help="address to listen on")
    record.add_argument("--port", type=int, help="port to listen on; 0 for any free one")
    record.set_defaults(command=_record)

    forget = commands.add_parser("forget", help="list and delete what was kept of conversations")
    forget.add_argument("names", nargs="*", metavar="NAME", help="of a recording or conversation")
    forget.add_argument("--older-than", type=float, metavar="DAYS", help="those, whatever names")
    forget.add_argument("--all", action="store_true", help="everything")
    forget.add_argument("--folder", type=Path, help="look here, not where the settings say")
    forget.set_defaults(command=_forget)

    check = commands.add_parser("check", help="say what is wrong in a YAML file, and where")
    check.add_argument("file", type=Path, nargs="?")
    check.add_argument("--schema", action="store_true", help="print the JSON schema instead")
    check.set_defaults(command=_check)

    talk = commands.add_parser("talk", help="talk through this machine's sound card")
    talk.add_argument("--input", help="microphone, by name or number")
    talk.add_argument("--output", help="loudspeaker, by name or number")
    talk.set_defaults(command=_talk)

    replay = commands.add_parser("replay", help="put a recording through the whole pipeline")
    replay.add_argument("recording", type=Path, help="audio file, or a folder of duplex record")
    replay.add_argument(
        "--hear", action="store_true", help="of such a folder: put its audio through the models"
    )
    replay.add_argument("--out", type=Path, help="write the agent's speech to this wav file")
    replay.add_argument("--json", action="store_true", help="print one record per turn as JSON")
    replay.add_argument("--greet", action="store_true", help="let the agent speak first")
    replay.add_argument(
        "--live", action="store_true", help="at the pace of speech, to see how long the work takes"
    )
    replay.set_defaults(command=_replay)

    bench = commands.add_parser("bench", help="hold written-down conversations, and score them")
    bench.add_argument("scenarios", type=Path, nargs="+", help="YAML files; see docs/testing.md")
    bench.add_argument(
        "--against",
        choices=("stock",),
        help="hold each also with a stock Pipecat bot from the same models",
    )
    bench.add_argument("--live", action="store_true", help="at the pace of speech")
    bench.add_argument("--out", type=Path, help="write the report here, as one HTML file")
    bench.add_argument("--json", action="store_true", help="print one line of JSON for each")
    bench.set_defaults(command=_bench)

    explain = commands.add_parser("explain", help="draw why each turn of a recording was decided")
    explain.add_argument("recording", type=Path, help="audio file; any rate, any channels")
    explain.add_argument("--turn", type=int, help="draw this turn only; all if none is named")
    explain.add_argument("--out", type=Path, required=True, help="write the picture here, as SVG")
    explain.set_defaults(command=_explain)

    asr_server = commands.add_parser(
        "asr-server", help="serve recognition to other machines", add_help=False
    )
    asr_server.set_defaults(command=_asr_server)

    doctor = commands.add_parser("doctor", help="name what is missing, and the fix for each")
    doctor.set_defaults(command=_doctor)

    models = commands.add_parser("models", help="fetch, verify or list the weights")
    models.add_argument("action", choices=("fetch", "verify", "list"))
    models.add_argument("names", nargs="*", help="models; all if none is named")
    models.set_defaults(command=_models)
    return parser


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from agent.server.serve import serve

    given = {"host": options.host, "port": options.port}
    changed = {name: value for name, value in given.items() if value is not None}
    server = settings.server.model_copy(update=changed)
    sip = settings.sip.model_copy(update={"enabled": settings.sip.enabled or options.sip})
    asyncio.run(serve(settings.model_copy(update={"server": server, "sip": sip})))
    return 0


def _run(options: argparse.Namespace, _settings: Settings) -> int:
    from agent.run import run

    return run(options.file, options.host, options.port)


def _call(options: argparse.Namespace, settings: Settings) -> int:
    from agent.run import call
    from agent.server.outbound import Outbound

    wanted = Outbound(options.to, options.ring, options.detect_machines, options.voicemail)
    return call(options.agent, wanted, settings)


def _record(options: argparse.Namespace, settings: Settings) -> int:
    from agent.run import run

    consent: Literal["asked", "told"] = "told" if options.told else "asked"
    record = {"folder": options.to.resolve(), "consent": consent}
    return run(options.file, options.host, options.port, record=record, settings=settings)


def _forget(options: argparse.Namespace, settings: Settings) -> int:
    from agent.server.retention import folders, forget

    places = [options.folder] if options.folder else list(folders(settings))
    return forget(places, options.names, older_days=options.older_than, everything=options.all)


def _check(options: argparse.Namespace, _settings: Settings) -> int:
    from agent.run import check, schema

    if options.schema:
        return schema()
    if options.file is None:
        raise SettingsError("name the file: duplex check agent.yaml")
    return check(options.file)


def _talk(options: argparse.Namespace, settings: Settings) -> int:
    from agent.talk import talk

    asyncio.run(talk(settings, options.input, options.output))
    return 0


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    from agent.dump import is_dump

    if is_dump(options.recording):
        from agent.replay_dump import replay as replay_dump

        return replay_dump(options.recording, hear=options.hear, as_json=options.json)
    from agent.replay import replay

    return replay(
        settings,
        options.recording,
        out=options.out,
        as_json=options.json,
        greet=options.greet,
        live=options.live,
    )


def _bench(options: argparse.Namespace, _settings: Settings) -> int:
    from agent.eval.bench import bench

    return bench(
        options.scenarios,
        parties=["duplex", *([options.against] if options.against else [])],
        live=options.live,
        out=options.out,
        as_json=options.json,
    )


def _explain(options: argparse.Namespace, settings: Settings) -> int:
    from agent.explain import explain

    return explain(settings, options.recording, options.out, options.turn)


def _asr_server(options: argparse.Namespace, _settings: Settings) -> int:
    # A program of its own, with its own options: the agent's process never imports it.
    from agent.parakeet.cli import main as serve

    return serve(options.rest)


def _doctor(_options: argparse.Namespace, settings: Settings) -> int:
    from agent.doctor import examine

    return examine(settings)


def _models(options: argparse.Namespace, settings: Settings) -> int:
    from agent.models import cli

    if options.action == "list":
        return cli.listing()
    if options.action == "verify":
        return cli.verify(options.names)
    failed = cli.fetch(options.names)
    if not failed and not options.names:
        _choose_voice(settings)
    return failed


def _choose_voice(settings: Settings) -> None:
    """Measure now which tier this machine can speak, so that the first start is a warm one."""
    from agent.tts.tier import open_voice

    print("choosing the voice: measuring what this machine can speak", flush=True)
    print(f"voice: {open_voice(settings.tts.tier, settings.tts.voice, settings.models.paths).name}")


if __name__ == "__main__":
    sys.exit(main())
