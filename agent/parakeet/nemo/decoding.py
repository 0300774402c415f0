"""Greedy transducer decoding: what the encoder heard becomes tokens, on whichever device can."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from loguru import logger
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis

from agent.parakeet.engine import OutOfMemoryError
from agent.parakeet.nemo.device import guarded
from agent.parakeet.nemo.hints import Hints, HintTrees
from agent.parakeet.nemo.words import Tokens

CPU = torch.device("cpu")


class Decoded(NamedTuple):
    """One utterance's tokens, and the state in which its next chunk goes on."""

    tokens: Tokens
    state: Any


class GreedyDecoder:
    """The model's token loop: prediction network and joint, RNNT or TDT."""

    def __init__(self, model: Any, device: torch.device, hint_weight: float = 0.0) -> None:
        """Take over the model's decoder.

        Args:
            model: As `checkpoint.prepare` leaves it, on the encoder's device.
            device: Where the loop should run.
            hint_weight: See `HintTrees`.
        """
        self._model = model
        self._trees = HintTrees(model, hint_weight)
        self.device = device
        self._place(device)

    def settle(self, encoded: torch.Tensor, lengths: torch.Tensor) -> None:
        """Try the loop once; where the device cannot run it, move it to the CPU.

        Args:
            encoded: As `decode`.
            lengths: As `decode`.
        """
        try:
            self.decode(encoded, lengths)
        except OutOfMemoryError:
            raise
        # NotImplementedError is a RuntimeError; a kernel that is missing is either.
        except RuntimeError as error:
            if self.device == CPU:
                raise
            logger.warning(
                "token loop does not run on {}: {}; it runs on the CPU, the encoder stays",
                self.device,
                str(error).splitlines()[0],
            )
            self._place(CPU)
            self.decode(encoded, lengths)

    def decode(
        self,
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        states: Sequence[Any] | None = None,
        hints: Sequence[Hints] = (),
    ) -> list[Decoded]:
        """Decode a batch; those with names to expect in a pass of their own.

        Args:
            encoded: Shape (batch, features, frames), on any device.
            lengths: Shape (batch,): frames that count.
            states: What `Decoded.state` gave for the chunk before; None for a first chunk.
            hints: Names to expect in each; none at all where it is empty. Within one stream they
                stay the same.

        Raises:
            OutOfMemoryError: No room.
            DeviceLostError: The device is broken.
        """
        rows = range(len(lengths))
        known = [row for row in rows if hints and self._trees.matter(hints[row])]
        if not known:
            return guarded(self.device, lambda: self._decode(encoded, lengths, states))
        found: dict[int, Decoded] = {}
        for group in (known, [row for row in rows if row not in known]):
            if group:
                earlier = [states[row] for row in group] if states else None
                wanted = [hints[row] for row in group] if group is known else []
                decoded = self._pass(encoded[group], lengths[group], earlier, wanted)
                found |= zip(group, decoded, strict=True)
        return [found[row] for row in rows]

    def _pass(
        self,
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        states: Sequence[Any] | None,
        hints: Sequence[Hints],
    ) -> list[Decoded]:
        if not hints:
            return guarded(self.device, lambda: self._decode(encoded, lengths, states))
        with self._trees.growing(hints) as requests:
            return guarded(self.device, lambda: self._decode(encoded, lengths, states, requests))

    def _decode(
        self,
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        states: Sequence[Any] | None,
        requests: Sequence[Any] = (),
    ) -> list[Decoded]:
        encoded = encoded.to(device=self.device, dtype=next(self._model.joint.parameters()).dtype)
        earlier = [
            None
            if state is None and request is None
            else Hypothesis(0.0, None, dec_state=state, timestamp=None, biasing_cfg=request)
            for state, request in zip_longest(states or (), requests)
        ]
        (hypotheses,) = self._model.decoding.decoding(
            encoder_output=encoded,
            encoded_lengths=lengths.to(self.device),
            partial_hypotheses=earlier or None,
        )
        return [Decoded(_tokens(found), found.dec_state) for found in hypotheses]

    def _place(self, device: torch.device) -> None:
        self.device = device
        for part in (self._model.decoder, self._model.joint):
            part.to(device)
            if device == CPU:
                part.float()


def _tokens(found: Any) -> Tokens:
    return Tokens(
        found.y_sequence.tolist(),
        found.timestamp.tolist(),
        [float(value) for value in found.non_blank_step_confidence_precomputed],
    )
