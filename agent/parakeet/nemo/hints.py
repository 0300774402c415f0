"""Names to expect: NeMo's boosting trees, a tree for each set of names.

At every token a tree adds to the scores of those that go on with a name. Whether anything is said
at all is left to the model, so silence stays silent.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from loguru import logger
from nemo.collections.asr.parts.context_biasing import BoostingTreeModelConfig, GPUBoostingTreeModel
from nemo.collections.asr.parts.context_biasing.biasing_multi_model import (
    BiasingRequestItemConfig,
    GPUBiasingMultiModel,
)

_KEPT = 64
"""Sets of names that are kept ready: agents use one or two. A set is made in milliseconds."""

_DEPTH_SCALING = 2.0
"""How much more a name's later tokens are favoured than its first; NeMo's value for transducers."""

Hints = tuple[str, ...]


class HintTrees:
    """The trees of a model's decoder."""

    def __init__(self, model: Any, weight: float) -> None:
        """Make none yet.

        Args:
            model: As `checkpoint.prepare` leaves it.
            weight: Added to a token's logit; 0 ignores hints.
        """
        self._tokenizer = model.tokenizer
        self._computer = model.decoding.decoding.decoding_computer
        self._weight = weight
        self._forest: GPUBiasingMultiModel | None = None
        self._numbers: OrderedDict[Hints, int] = OrderedDict()
        size = model.joint.num_classes_with_blank - model.joint.num_extra_outputs - 1
        pieces = [str(piece) for piece in self._tokenizer.ids_to_tokens(list(range(size)))]
        self._spell = spelling(pieces)
        self._unknown = getattr(self._tokenizer, "unk_id", None)

    def matter(self, hints: Hints) -> bool:
        """Whether these names change how an utterance is decoded."""
        return self._weight > 0 and bool(self._phrases(hints))

    @contextlib.contextmanager
    def growing(self, wanted: Sequence[Hints]) -> Iterator[list[BiasingRequestItemConfig]]:
        """Decode with trees meanwhile; gives what to ask for, for each of `wanted`.

        Outside of it nothing is slower than without any tree.
        """
        requests = [
            BiasingRequestItemConfig(
                multi_model_id=self._number(hints), auto_manage_multi_model=False
            )
            for hints in wanted
        ]
        self._computer.biasing_multi_model = self._forest
        try:
            yield requests
        finally:
            self._computer.biasing_multi_model = None

    def _number(self, hints: Hints) -> int:
        if hints in self._numbers:
            self._numbers.move_to_end(hints)
            return self._numbers[hints]
        # What is made within inference mode can never be changed again.
        with torch.inference_mode(False):
            if self._forest is None:
                self._forest = GPUBiasingMultiModel(vocab_size=self._computer._blank_index)
            if len(self._numbers) >= _KEPT:
                _, oldest = self._numbers.popitem(last=False)
                self._forest.remove_model(oldest)
            tree = GPUBoostingTreeModel.from_config(
                BoostingTreeModelConfig(
                    key_phrases_list=self._phrases(hints), depth_scaling=_DEPTH_SCALING
                ),
                tokenizer=self._tokenizer,
            )
            self._numbers[hints] = self._forest.add_model(tree, alpha=self._weight)
        logger.debug("a tree of {} names", len(hints))
        return self._numbers[hints]

    def _phrases(self, hints: Hints) -> list[str]:
        """The names as the model would write them; what it cannot write is left out."""
        phrases = dict.fromkeys(filter(None, (self._spell(hint.strip()) for hint in hints)))
        return [
            phrase
            for phrase in phrases
            if (ids := self._tokenizer.text_to_ids(phrase)) and self._unknown not in ids
        ]


def spelling(pieces: Sequence[str]) -> Callable[[str], str]:
    """How a model with these pieces writes names: some know no capitals."""
    has_capitals = any(piece != piece.lower() for piece in pieces if not piece.startswith("<"))
    return str if has_capitals else str.lower
