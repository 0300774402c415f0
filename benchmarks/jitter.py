"""How long received audio is held back: aiortc's own jitter buffer beside ours.

Two real aiortc peers for each, with a relay between that drops the same packets of both by seed.
Hold is counted in packets, when a frame is read: how many later ones the network had taken by then.
One line of JSON. Run from the project's root:

    python -m benchmarks.jitter --seconds 20
"""

import argparse
import asyncio
import json
import platform
import subprocess
from importlib.metadata import version
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame

from agent.transports.webrtc_media import AudioReceiver, InboundAudio, decoded
from tests.wiring.webrtc_peers import PACKET, RATE, Caller, Faults, Microphone, Relay, chirps

_PACKET_MS = 20
_QUIET_S = 1.0


class Listener:
    """A peer that reads audio as fast as it is given."""

    def __init__(self, *, is_ours: bool) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._is_ours = is_ours

    async def answer(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Answer as the server's endpoint does."""
        await self.pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        if self._is_ours:
            AudioReceiver.of(self.pc.getTransceivers()[0].receiver)
        return {"sdp": self.pc.localDescription.sdp, "pc_id": ""}

    async def read(self, relay: Relay) -> tuple[list[int], float]:
        """Holds in packets, and the seconds of audio given, until the sender is quiet."""
        track: MediaStreamTrack = self.pc.getTransceivers()[0].receiver.track
        inbound = InboundAudio()
        holds: list[int] = []
        seconds = 0.0
        first: int | None = None
        while True:
            try:
                frame = await asyncio.wait_for(track.recv(), _QUIET_S if holds else 15)
            except TimeoutError:
                return holds, seconds
            assert isinstance(frame, AudioFrame)
            audio = decoded(frame)
            first = audio.position if first is None else first
            holds.append(relay.media - 1 - (audio.position - first) // PACKET)
            pcm = inbound.push(audio) if self._is_ours else audio.pcm
            seconds += len(pcm) / (16_000 if self._is_ours else RATE)


async def measure(*, is_ours: bool, loss: float, seconds: float) -> dict[str, Any]:
    relay = Relay(Faults(loss=loss, seed=42))
    microphone = Microphone(chirps(seconds))
    caller = Caller(microphone, relay)
    listener = Listener(is_ours=is_ours)
    await caller.call(listener.answer)
    reading = asyncio.create_task(listener.read(relay))
    await caller.connected.wait()
    microphone.go.set()
    holds, given_s = await reading
    await caller.close()
    await listener.pc.close()
    in_ms = np.array(holds) * _PACKET_MS
    arrived = relay.media - relay.dropped
    return {
        "receiver": "duplex" if is_ours else "aiortc",
        "loss": loss,
        "packets_sent": microphone.packets,
        "packets_lost": relay.dropped,
        "hold_ms": {
            "mean": round(float(in_ms.mean()), 1),
            "p50": int(np.percentile(in_ms, 50)),
            "p95": int(np.percentile(in_ms, 95)),
            "max": int(in_ms.max()),
            "last_second_mean": round(float(in_ms[-50:].mean()), 1),
        },
        "arrived_but_not_given": arrived - len(holds),
        "audio_sent_s": round(microphone.packets * _PACKET_MS / 1000, 3),
        "audio_given_s": round(given_s, 3),
    }


async def run(seconds: float) -> list[dict[str, Any]]:
    results = []
    for loss in (0.0, 0.01, 0.03):
        pair = [measure(is_ours=ours, loss=loss, seconds=seconds) for ours in (False, True)]
        results += await asyncio.gather(*pair)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="audio per call")
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    report = {
        "benchmark": "jitter",
        "commit": commit,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "aiortc": version("aiortc"),
        "results": asyncio.run(run(arguments.seconds)),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
