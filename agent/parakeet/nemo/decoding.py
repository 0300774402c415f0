"""Greedy transducer decoding: what the encoder heard becomes tokens, on whichever device can."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from loguru import logger
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis

from agent.parakeet.engine import OutOfMemoryError
from agent.parakeet.nemo.device import guarded
from agent.parakeet.nemo.words import Tokens

CPU = torch.device("cpu")


class Decoded(NamedTuple):
    """One utterance's tokens, and the state in which its next chunk goes on."""

    tokens: Tokens
    state: Any


class GreedyDecoder:
    """The model's token loop: prediction network and joint, RNNT or TDT."""

    def __init__(self, model: Any, device: torch.device) -> None:
        """Take over the model's decoder.

        Args:
            model: As `checkpoint.prepare` leaves it, on the encoder's device.
            device: Where the loop should run.
        """
        self._model = model
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
    ) -> list[Decoded]:
        """Decode a batch.

        Args:
            encoded: Shape (batch, features, frames), on any device.
            lengths: Shape (batch,): frames that count.
            states: What `Decoded.state` gave for the chunk before; None for a first chunk.

        Raises:
            OutOfMemoryError: No room.
            DeviceLostError: The device is broken.
        """
        return guarded(self.device, lambda: self._decode(encoded, lengths, states))

    def _decode(
        self, encoded: torch.Tensor, lengths: torch.Tensor, states: Sequence[Any] | None
    ) -> list[Decoded]:
        encoded = encoded.to(device=self.device, dtype=next(self._model.joint.parameters()).dtype)
        earlier = [
            None if state is None else Hypothesis(0.0, None, dec_state=state, timestamp=None)
            for state in states or ()
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
