"""Tiny FastConformer transducers, built with NeMo's classes and trained here in about a minute.

NeMo's TDT loss has no CPU implementation, and a transducer loss sums over all alignments because
the right one is unknown. Ours is known: the voice that made the speech says when each word sounds.
So every frame has one right answer (which token, or none, and how far to jump) and cross-entropy is
enough. The result is an ordinary checkpoint.

    python -m tests.nemo.tiny FOLDER tdt|streaming
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from omegaconf import OmegaConf

from agent.audio.chunk import Float32Array
from agent.parakeet.nemo.architecture import Architecture, configuration
from tests.nemo import corpus
from tests.nemo.corpus import RATE, Clip

FRAME = 1280
"""Samples of one encoder frame, 80 ms."""

OFFLINE = Architecture(
    layers=2, width=96, heads=4, mels=80, channels=16, hidden=96, durations=(0, 1, 2, 3, 4)
)
STREAMING = replace(OFFLINE, lookaheads=(1, 0), durations=())
_ARCHITECTURES = {"tdt": OFFLINE, "streaming": STREAMING}

END_OF_TURN = "<EOU>"
END_OF_BACKCHANNEL = "<EOB>"

_STREAMING_DELAY = 1
"""Frames after a word's end before a streaming model must name it."""
_TURN_END_DELAY = 5
"""Frames of silence after which a streaming model ends the turn: 0.4 s."""


def make(folder: Path, kind: str) -> Path:
    """Train a model unless this source already did.

    Args:
        folder: Where the checkpoint is, or will be.
        kind: ``tdt`` or ``streaming``.
    """
    source = b"".join(Path(module.__file__).read_bytes() for module in _sources())
    path = folder / f"tiny-{kind}-{hashlib.sha256(source).hexdigest()[:12]}.nemo"
    if not path.exists():
        torch.set_num_threads(1)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.nemo")
        model = train(_ARCHITECTURES[kind], tokenizer(folder / f"tokenizer-{kind}"))
        model.save_to(str(partial))
        partial.rename(path)
    return path


def tokenizer(folder: Path) -> Path:
    """Pieces of the corpus' words, with the tokens for the end of a turn."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "text.txt"
    text.write_text("\n".join(corpus.training_sentences()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=64,
        model_type="bpe",
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        user_defined_symbols=[END_OF_TURN, END_OF_BACKCHANNEL],
        minloglevel=2,
    )
    pieces = (folder / "tokenizer.vocab").read_text(encoding="utf-8").splitlines()
    names = [line.split("\t")[0] for line in pieces]
    (folder / "vocab.txt").write_text(
        "\n".join(name for name in names if name != "<unk>") + "\n", encoding="utf-8"
    )
    return folder


def build(architecture: Architecture, tokens: Path, seed: int = 0) -> Any:
    """A model with random weights, on the CPU."""
    from nemo.collections.asr.models import EncDecRNNTBPEModel

    torch.manual_seed(seed)
    return EncDecRNNTBPEModel(cfg=OmegaConf.create(configuration(architecture, tokens)))


@dataclass(frozen=True)
class Example:
    """Audio and the frame at which each token is due."""

    signal: Float32Array
    tokens: tuple[int, ...]
    due: tuple[int, ...]


def train(architecture: Architecture, tokens: Path, steps: int = 700, batch: int = 8) -> Any:
    """Fit a model to the corpus; the same seed gives the same weights."""
    model = build(architecture, tokens)
    model.train()
    model.preprocessor.featurizer.dither = 0.0
    random = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    clips = [corpus.speak(sentence) for sentence in corpus.training_sentences()]
    for _ in range(steps):
        chosen = [_example(model, architecture, clips, random) for _ in range(batch)]
        loss = path_loss(model, chosen, architecture.durations)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval()


def _example(
    model: Any, architecture: Architecture, clips: Sequence[Clip], random: np.random.Generator
) -> Example:
    """One or two sentences over noise, at some pace and loudness, with silence around them."""
    streaming = architecture.is_streaming
    parts: list[Float32Array] = [_silence(random, 0.0, 0.5)]
    tokens: list[int] = []
    due: list[int] = []
    for _ in range(1 + (random.random() < 0.3)):
        clip = clips[random.integers(len(clips))]
        pace = random.uniform(0.93, 1.07)
        start = sum(map(len, parts))
        signal = _stretched(clip.signal, pace)
        for word, begin, end in clip.words:
            first, last = (start + begin / pace) / FRAME, (start + end / pace) / FRAME
            ids = model.tokenizer.text_to_ids(word)
            if streaming:
                due += [int(last) + _STREAMING_DELAY] * len(ids)
            else:
                step = (last - first) / len(ids)
                due += [int(first + step * (k + 0.5)) for k in range(len(ids))]
            tokens += ids
        parts += [signal * random.uniform(0.4, 1.2), _silence(random, 0.1, 1.4)]
        if streaming:
            mark = END_OF_BACKCHANNEL if clip.text in corpus.BACKCHANNELS else END_OF_TURN
            tokens.append(model.tokenizer.tokens_to_ids([mark])[0])
            due.append(int(last) + _STREAMING_DELAY + _TURN_END_DELAY)
            if sum(map(len, parts)) // FRAME <= due[-1]:
                tokens.pop(), due.pop()
                break
    whole = np.concatenate(parts)
    whole = whole + random.normal(0, random.uniform(0, 3e-3), len(whole)).astype(np.float32)
    return Example(whole, tuple(tokens), tuple(due))


def _silence(random: np.random.Generator, least_s: float, most_s: float) -> Float32Array:
    return np.zeros(int(random.uniform(least_s, most_s) * RATE), np.float32)


def _stretched(signal: Float32Array, pace: float) -> Float32Array:
    places = np.arange(0, len(signal) - 1, pace)
    return np.interp(places, np.arange(len(signal)), signal).astype(np.float32)


def path_loss(model: Any, examples: Sequence[Example], durations: Sequence[int]) -> torch.Tensor:
    """Cross-entropy at every state the right alignment passes, and just beside it."""
    lengths = torch.tensor([len(example.signal) for example in examples])
    signals = torch.zeros(len(examples), int(lengths.max()))
    for row, example in zip(signals, examples, strict=True):
        row[: len(example.signal)] = torch.from_numpy(example.signal)
    encoded, frames = model.forward(input_signal=signals, input_signal_length=lengths)
    longest = max(len(example.tokens) for example in examples)
    targets = torch.zeros(len(examples), longest, dtype=torch.long)
    for row, example in zip(targets, examples, strict=True):
        row[: len(example.tokens)] = torch.tensor(example.tokens)
    predicted, *_ = model.decoder(
        targets=targets, target_length=torch.full((len(examples),), longest)
    )

    blank = model.decoder.blank_idx
    states = [
        (row, *state)
        for row, example in enumerate(examples)
        for state in _states(example, int(frames[row]), blank)
    ]
    rows, times, counts, labels, jumps = (
        torch.tensor(column) for column in zip(*states, strict=True)
    )
    joint = model.joint
    heard = joint.project_encoder(encoded.transpose(1, 2))[rows, times]
    said = joint.project_prednet(predicted.transpose(1, 2))[rows, counts]
    logits = joint.joint_after_projection(heard[:, None], said[:, None])[:, 0, 0]
    entropy = torch.nn.functional.cross_entropy
    if not durations:
        return entropy(logits, labels)
    return entropy(logits[:, : -len(durations)], labels) + entropy(
        logits[:, -len(durations) :], jumps.clamp(max=durations[-1])
    )


def _states(example: Example, frames: int, blank: int) -> list[tuple[int, int, int, int]]:
    """(frame, tokens said, right token or blank, frames to the next event)."""
    due = [min(frame, frames - 1) for frame in example.due]
    states = []
    for time_ in range(frames):
        said = sum(frame < time_ for frame in due)
        while said < len(due) and due[said] == time_:
            following = due[said + 1] if said + 1 < len(due) else frames
            states.append((time_, said, example.tokens[said], following - time_))
            said += 1
        following = due[said] if said < len(due) else frames
        states.append((time_, said, blank, max(1, following - time_)))
        # A jump may have gone too far: what was due a moment ago is said now.
        late = sum(frame < time_ - 1 for frame in due)
        if late < len(due) and due[late] == time_ - 1:
            following = due[late + 1] if late + 1 < len(due) else frames
            states.append((time_, late, example.tokens[late], max(0, following - time_)))
    return states


@cache
def _sources() -> tuple[Any, ...]:
    import agent.parakeet.nemo.architecture

    return (sys.modules[__name__], corpus, agent.parakeet.nemo.architecture)


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), sys.argv[2]))
