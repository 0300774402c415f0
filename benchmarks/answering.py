"""How often a person and an answering machine are told apart, on a synthesised set.

    python -m benchmarks.answering
    python -m benchmarks.answering --judged

Greetings are spoken by the packaged voice in several seeds, sent through mu-law at 8 kHz at several
levels over line noise, behind up to a second of silence; machines end with a beep. The rules were
set on these. Those of `--judged` were written and first heard after that: other greetings, in four
voices of the full model. No recording of a real machine is in either: they are private.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from hibari import Hibari

from agent.audio.chunk import Int16Array, to_int16
from agent.audio.resample import resample
from agent.transports.phone.answering import AnswerDetector, Answered, Answerer
from agent.transports.sip.g711 import PCMU
from agent.tts.kokoro import KokoroVoice

RATE = 8_000

PERSONS = (
    "Hello?",
    "Yes?",
    "Hello, who is this?",
    "Hi, this is Anna.",
    "Good morning.",
    "Smith speaking.",
    "Hello, Peter here, how can I help?",
    "Yeah, hello?",
    "Doctor Miller's office.",
    "Anna Bell, hello.",
)

MACHINES = (
    "Hi, you have reached Anna. I can't come to the phone right now. Please leave a message after "
    "the tone.",
    "Your call has been forwarded to an automatic voice message system. At the tone, please record "
    "your message.",
    "You have reached the voicemail box of five five five, one two three four. Please leave a "
    "message.",
    "The person you are calling is not available. Please try again later or leave a message.",
    "Thank you for calling. For sales, press one. For support, press two.",
    "Welcome to the city library. Our opening hours are nine to five.",
    "Hello! Sorry we missed you. Leave your name and number and we will call you back.",
    "This is the mailbox of Peter Smith, and I am away until Monday. Speak after the beep.",
)

JUDGED_PERSONS = (
    "Hello, this is Maria speaking.",
    "Jones.",
    "Hi there!",
    "Yes, hello?",
    "Riverside Dental, how may I help you?",
    "Good afternoon, Tom Baker.",
    "Who's calling, please?",
    "Hey, what's up?",
    "Accounts department, Susan here.",
    "Hello? Hello?",
    "Mm, yes?",
    "The Wilson residence.",
)

JUDGED_MACHINES = (
    "You've reached the office of Carla Jones. I am either on another line or away from my desk.",
    "The number you have dialed is busy. To leave a message, please stay on the line.",
    "Hey, it's Mike. I'm probably out surfing, so do the usual thing after the beep.",
    "Please leave your message for extension four oh seven. When you are finished, hang up.",
    "Thanks for calling Green Street Pizza. We are closed now. We open again at noon.",
    "All of our agents are helping other customers. Your call is important to us.",
    "This call may be recorded. Para español, oprima el dos. For billing, press three.",
    "Hello, you're through to the Patels. Nobody is at home at the moment, so please try later.",
    "The subscriber cannot be reached at this time. Please record your message after the tone.",
    "Hi. This is Dana's phone. Text me instead, I never listen to these.",
    "Good day. Doctor Ahmed's practice is closed. In an emergency, dial one one two.",
    "We're sorry, but the mailbox of the person you called is full. Goodbye.",
)
JUDGED_VOICES = ("af_bella", "am_michael", "bf_emma", "bm_george")

Speak = Callable[[str, int], Int16Array]
"""A greeting, and which rendering of it: mono at 8 kHz."""


@cache
def _speaker() -> Hibari:
    return Hibari()


def voice(text: str, seed: int) -> Int16Array:
    """Speech at 8 kHz."""
    return resample(to_int16(_speaker()(text, seed=seed)), 24_000, RATE)


@cache
def _full(name: str) -> KokoroVoice:
    return KokoroVoice(voice=name)


def other_voice(text: str, seed: int) -> Int16Array:
    """Speech at 8 kHz in one of the voices that the rules were not set on."""
    full = _full(JUDGED_VOICES[(len(text) + seed) % len(JUDGED_VOICES)])
    pcm = np.concatenate([speech.pcm for speech in full.speak(text)])
    return resample(pcm, full.sample_rate, RATE)


def line(pieces: list[Int16Array], seed: int) -> Int16Array:
    """What arrives: silence before, noise under it, another level, mu-law."""
    chance = np.random.default_rng(seed)
    lead = np.zeros(round(chance.uniform(0.1, 1.0) * RATE), np.int16)
    track = np.concatenate([lead, *pieces, np.zeros(2 * RATE, np.int16)]).astype(np.float64)
    track *= 10 ** (chance.uniform(-15, 0) / 20)
    track += chance.normal(0, 10 ** chance.uniform(0, 1.6), len(track))
    pcm = np.clip(np.rint(track), -32768, 32767).astype(np.int16)
    return PCMU.decode(PCMU.encode(pcm))


def beep(seed: int) -> Int16Array:
    """A machine's: 440 to 1400 Hz, 0.2 to 1 s."""
    chance = np.random.default_rng(seed)
    count = round(chance.uniform(0.2, 1.0) * RATE)
    phase = 2 * np.pi * chance.uniform(440, 1400) / RATE * np.arange(count)
    tone: npt.NDArray[np.float64] = 9000 * np.sin(phase)
    return tone.astype(np.int16)


def judged(track: Int16Array) -> tuple[str, float, float | None]:
    """Verdict, how long after the first sound it came, and when the beep was found to be over."""
    detector = AnswerDetector(RATE)
    verdict, at_s, over_s = "none", 0.0, None
    for start in range(0, len(track), RATE // 50):
        for finding in detector.push(track[start : start + RATE // 50]):
            if isinstance(finding, Answered):
                verdict, at_s = finding.by.value, finding.at_s
            elif over_s is None:
                over_s = finding.at_s
    return verdict, at_s, over_s


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="renderings of each greeting")
    parser.add_argument("--judged", action="store_true", help="what the rules were not set on")
    parser.add_argument("--errors", action="store_true", help="print what was misjudged")
    given = parser.parse_args()
    persons, machines = (JUDGED_PERSONS, JUDGED_MACHINES) if given.judged else (PERSONS, MACHINES)
    speak: Speak = other_voice if given.judged else voice
    right = total = beeps = early = 0
    waits = []
    for kind, texts in ((Answerer.PERSON, persons), (Answerer.MACHINE, machines)):
        for number, text in enumerate(texts):
            for seed in range(given.seeds):
                pieces = [speak(text, seed)]
                if kind is Answerer.MACHINE:
                    pieces += [np.zeros(RATE // 3, np.int16), beep(number * 100 + seed)]
                track = line(pieces, number * 100 + seed)
                speech_s = np.flatnonzero(np.abs(track) > 400)[0] / RATE
                verdict, at_s, over_s = judged(track)
                total += 1
                right += verdict == kind.value
                waits.append(at_s - speech_s)
                if kind is Answerer.MACHINE:
                    end_s = len(track) / RATE - 2.0
                    beeps += over_s is not None and abs(over_s - end_s) < 0.1
                    early += over_s is not None and over_s < end_s - 0.05
                if given.errors and verdict != kind.value:
                    print(kind.value, "taken for", verdict, f"after {at_s:.2f} s:", text)
    with_beep = len(machines) * given.seeds
    print(
        json.dumps(
            {
                "set": "judged" if given.judged else "tuned",
                "calls": total,
                "right": round(right / total, 4),
                "decided_within_s": round(max(waits), 2),
                "beeps_found": round(beeps / with_beep, 4),
                "would_talk_over_the_beep": early,
            }
        )
    )


if __name__ == "__main__":
    main()
