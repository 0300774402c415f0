"""Five lines to a talking agent: `serve(agent)`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.choices import Role, parse
from agent.logs import set_up_logging
from agent.parts import Parts
from agent.settings import Settings, load


def serve(
    agent: Agent,
    *,
    settings: Settings | Mapping[str, Any] | Path | str | None = None,
    asr: str | Callable[[], Any] | None = None,
    llm: str | Sequence[str] | Callable[[str], Any] | None = None,
    tts: str | Any | None = None,
    policy: Callable[[], Any] | None = None,
    host: str | None = None,
    port: int | None = None,
) -> None:
    """Serve an agent to browsers, programs and telephones until interrupted.

    Args:
        agent: Who talks.
        settings: Every knob; or some of them by section, or the YAML file that holds them, over
            which the environment wins. None for the environment alone.
        asr: A recogniser's name, such as ``moonshine:tiny``, or what makes one for each session.
        llm: A language model's name, several to fall back on in order, or what makes its Pipecat
            service for each session, given the system prompt.
        tts: A voice's name, such as ``kokoro:af_heart``, or a voice.
        policy: Makes each session's turn policy.
        host: Address to listen on.
        port: 0 for any free one; the address is printed.

    Raises:
        SettingsError: A name stands for nothing, or the address is taken.
        MissingModelError: A weight is absent or damaged.
    """
    chosen, parts = choose(settings, asr=asr, llm=llm, tts=tts, policy=policy)
    given = {"host": host, "port": port}
    changed = {name: value for name, value in given.items() if value is not None}
    server = chosen.server.model_copy(update=changed)
    from agent.server.serve import serve as run

    set_up_logging(verbose=False, form=chosen.logs.format)
    try:
        asyncio.run(
            run(chosen.model_copy(update={"server": server}), agent=lambda: agent, parts=parts)
        )
    except KeyboardInterrupt:
        return


def choose(
    settings: Settings | Mapping[str, Any] | Path | str | None = None,
    *,
    asr: str | Callable[[], Any] | None = None,
    llm: str | Sequence[str] | Callable[[str], Any] | None = None,
    tts: str | Any | None = None,
    policy: Callable[[], Any] | None = None,
) -> tuple[Settings, Parts]:
    """Sort parts that were chosen by name from those brought along; see `serve`.

    Raises:
        SettingsError: The file is wrong, or a name stands for nothing.
    """
    if not isinstance(settings, Settings):
        settings = load(Path(settings) if isinstance(settings, str) else settings)
    names: dict[str, Any] = {}
    if isinstance(asr, str):
        names["asr"] = asr
    if isinstance(tts, str):
        names["tts"] = tts
    if isinstance(llm, (str, Sequence)):
        names["llm"] = (llm,) if isinstance(llm, str) else tuple(llm)
    roles: tuple[Role, ...] = ("asr", "llm", "tts")
    for role in roles:
        given = names.get(role, ())
        for name in [given] if isinstance(given, str) else given:
            parse(role, name)
    models = settings.models.model_copy(update=names)
    settings = settings.model_copy(update={"models": models})
    return settings, Parts(
        recogniser=None if isinstance(asr, str) else asr,
        language=None if isinstance(llm, (str, Sequence)) else llm,
        voice=None if isinstance(tts, str) else tts,
        policy=policy,
    )
