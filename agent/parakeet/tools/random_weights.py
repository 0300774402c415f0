"""Parakeet TDT 0.6B's shape with random weights: its speed without its checkpoint.

    python -m agent.parakeet.tools.random_weights FOLDER

writes a checkpoint of 2.4 GB and prints its path, to serve it and measure the server.
"""

import random
import sys
from pathlib import Path
from typing import Any

from agent.parakeet.nemo.architecture import PARAKEET_TDT_06B, Architecture, configuration

PIECES = 1024
"""Vocabulary of nvidia/parakeet-tdt-0.6b-v2."""

_STEP = 3
"""Frames of 80 ms from token to token: four tokens a second, about what English speech has."""


def make(folder: Path, architecture: Architecture = PARAKEET_TDT_06B) -> Path:
    """Build the model, decide how much it says, and save it.

    Args:
        folder: For the tokenizer and the checkpoint.
        architecture: The sizes.

    Returns:
        The checkpoint's path.
    """
    import torch
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    config = configuration(architecture, _tokenizer(folder / "tokenizer"))
    model: Any = EncDecRNNTBPEModel(cfg=OmegaConf.create(config))
    last = model.joint.joint_net[-1]
    with torch.no_grad():
        blank = model.decoder.blank_idx
        # Never nothing, always the same step: the token loop's length is that of real speech.
        last.bias[blank] = -1e4
        last.bias[-len(architecture.durations) + architecture.durations.index(_STEP)] = 1e4
    path = folder / "parakeet-tdt-0.6b-random.nemo"
    model.save_to(str(path))
    return path


def _tokenizer(folder: Path) -> Path:
    """Pieces of words that mean nothing."""
    import sentencepiece

    folder.mkdir(parents=True)
    chance = random.Random(0)
    syllables = [first + last for first in "bdfgklmnprstvz" for last in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(4000)]
    text = folder / "text.txt"
    lines = (" ".join(chance.choices(words, k=8)) for _ in range(3000))
    text.write_text("\n".join(lines), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=PIECES,
        model_type="bpe",
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    names = [
        line.split("\t")[0]
        for line in (folder / "tokenizer.vocab").read_text(encoding="utf-8").splitlines()
    ]
    (folder / "vocab.txt").write_text(
        "\n".join(name for name in names if name != "<unk>") + "\n", encoding="utf-8"
    )
    return folder


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
