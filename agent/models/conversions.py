"""From the files packages carry to the files the agent loads, by name."""

import shutil
from pathlib import Path

from agent.models.description import Conversion, Model


def convert(model: Model, source_dir: Path, target_dir: Path) -> None:
    """Write `model.finished` into the empty `target_dir`; `source_dir` stays as it is.

    The same sources give the same files, so a conversion that was interrupted is simply redone.
    The libraries that convert are imported here: nothing but set-up needs them.
    """
    match model.conversion:
        case Conversion.MOONSHINE:
            from agent.models import moonshine_graph

            moonshine_graph.repair(source_dir, target_dir)
            shutil.copyfile(source_dir / "tokenizer.json", target_dir / "tokenizer.json")
        case Conversion.Q4_0:
            from agent.models import gguf_repack

            gguf_repack.repack(source_dir / "source.gguf", target_dir / "model.gguf")
        case Conversion.NONE:
            for name in model.finished:
                (target_dir / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source_dir / name, target_dir / name)
