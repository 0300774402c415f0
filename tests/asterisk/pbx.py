"""A real Asterisk on loopback: an exchange with a number for us and some of its own."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from tests.sip.peers import Program, free_port

ROOT = Path(__file__).resolve().parents[2] / "build" / "asterisk"
"""Where `tools/asterisk.sh` unpacks it."""

USER, PASSWORD = "duplex", "se:cret"

OURS, AUDIOSOCKET, WEBSOCKET, DESK, ECHO, BUSY = "100", "101", "102", "200", "300", "301"
"""Numbers: we, registered; we over AudioSocket; we over its WebSocket channel; a telephone; whoever
calls hears himself; and who is always busy."""

_MODULES = """
    res_pjproject res_sorcery_astdb res_sorcery_config res_sorcery_memory res_timing_timerfd
    res_http_websocket res_websocket_client res_audiosocket res_rtp_asterisk res_srtp
    res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp res_pjsip_caller_id
    res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest res_pjsip_registrar
    res_pjsip_endpoint_identifier_user res_pjsip_endpoint_identifier_anonymous
    res_pjsip_nat res_pjsip_rfc3326 res_pjsip_dtmf_info res_pjsip_refer
    chan_pjsip chan_audiosocket chan_websocket app_audiosocket app_dial app_echo app_verbose
    func_callerid func_channel func_uuid
    bridge_simple bridge_native_rtp bridge_builtin_features bridge_holding
    codec_ulaw codec_alaw codec_resample codec_opus_open_source res_format_attr_opus pbx_config
"""


class Asterisk(Program):
    """The exchange, with settings in `home`.

    Args:
        home: For its files.
        ours: Settings of our number, as in pjsip.conf.
        codec: That of our number.
        audiosocket: Port that AudioSocket connects to.
        websocket: Address that the WebSocket channel connects to.
        dial: How the WebSocket channel is dialled, behind its name.
        desk: Port of the telephone that has a number.
    """

    def __init__(
        self,
        home: Path,
        *,
        ours: str = "",
        codec: str = "ulaw",
        audiosocket: int = 0,
        websocket: str = "",
        dial: str = "c(slin16)f(json)",
        desk: int = 0,
    ) -> None:
        if not (ROOT / "usr/sbin/asterisk").exists():
            pytest.skip("Asterisk is missing: sh tools/asterisk.sh build/asterisk")
        self.port = free_port()
        self._settings = home / "etc"
        self._write(ours, codec)
        self._write_dialplan(audiosocket, websocket, dial, desk)
        super().__init__(_command(self._settings, "-f", "-n", "-vvv"), home)
        self.until("Asterisk Ready", limit_s=30.0)

    def command(self, words: str) -> str:
        """Type a line at its console; what it answers."""
        done = subprocess.run(
            _command(self._settings, "-rx", words), capture_output=True, text=True, timeout=20
        )
        return done.stdout

    def _write(self, ours: str, codec: str) -> None:
        home, share = self._settings.parent, ROOT / "usr/share/asterisk"
        for name in ("etc", "var", "spool", "run", "log"):
            (home / name).mkdir(parents=True, exist_ok=True)
        modules = next(ROOT.glob("usr/lib/*/asterisk/modules"))
        self._file(
            "asterisk.conf",
            f"[directories]\nastetcdir => {home}/etc\nastmoddir => {modules}\n"
            f"astvarlibdir => {home}/var\nastdbdir => {home}/var\nastkeydir => {home}/var\n"
            f"astdatadir => {share}\nastagidir => {home}/var\nastspooldir => {home}/spool\n"
            f"astrundir => {home}/run\nastlogdir => {home}/log\nastsbindir => {home}\n",
        )
        self._file("logger.conf", "[logfiles]\nconsole => notice,warning,error,verbose\n")
        loaded = "".join(f"load={name}.so\n" for name in _MODULES.split())
        self._file("modules.conf", f"[modules]\nautoload=no\n{loaded}")
        self._file("rtp.conf", "[general]\nrtpstart=32100\nrtpend=32700\n")
        self._file(
            "pjsip.conf",
            f"[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{self.port}\n"
            "[ours](!)\ntype=endpoint\ncontext=house\ndirect_media=no\nmoh_passthrough=yes\n"
            f"disallow=all\nallow={codec}\n"
            f"[{USER}](ours)\nauth={USER}\naors={USER}\n{ours}\n"
            f"[{USER}]\ntype=auth\nauth_type=userpass\nusername={USER}\npassword={PASSWORD}\n"
            f"[{USER}]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n"
            "[anonymous]\ntype=endpoint\ncontext=house\ndirect_media=no\n"
            "disallow=all\nallow=ulaw\n",
        )

    def _write_dialplan(self, audiosocket: int, websocket: str, dial: str, desk: int) -> None:
        self._file(
            "extensions.conf",
            f"[house]\nexten => {OURS},1,Dial(PJSIP/{USER},20)\n"
            f"exten => {AUDIOSOCKET},1,Answer()\n"
            f" same => n,AudioSocket(${{UUID()}},127.0.0.1:{audiosocket})\n"
            f"exten => {WEBSOCKET},1,Dial(WebSocket/duplex/{dial})\n"
            f"exten => {DESK},1,Dial(PJSIP/anonymous/sip:tester@127.0.0.1:{desk},20)\n"
            f"exten => {ECHO},1,Answer()\n same => n,Echo()\n"
            f"exten => {BUSY},1,Hangup(17)\n",
        )
        self._file(
            "websocket_client.conf",
            "[duplex]\ntype = websocket_client\nconnection_type = per_call_config\n"
            f"uri = {websocket}\nprotocols = media\n",
        )

    def _file(self, name: str, text: str) -> None:
        (self._settings / name).write_text(text)

    def stop(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.command("core stop now")
            self.process.wait(5)
        super().stop()


def _command(settings: Path, *options: str) -> list[str]:
    """Its program by its own loader: the machine's C library is older."""
    loader = next(ROOT.glob("usr/lib*/ld-linux-*"))
    libraries = next(ROOT.glob("usr/lib/*/asterisk")).parent
    program = [str(loader), "--library-path", str(libraries), str(ROOT / "usr/sbin/asterisk")]
    return [*program, "-C", str(settings / "asterisk.conf"), *options]
