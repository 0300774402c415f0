"""Sound files and streams of any rate become 16 kHz mono."""

import io

import numpy as np
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, to_int16
from agent.audio.resample import resample
from agent.errors import AudioFormatError
from agent.parakeet.errors import BadInputError, TooLongError


def decode(data: bytes, longest_s: float) -> Int16Array:
    """Read a sound file.

    Args:
        data: WAV, FLAC, OGG (Vorbis, Opus), MP3 or AIFF; any rate, any channels.
        longest_s: Longer files are refused before they are decoded.

    Returns:
        Shape (n,), int16, 16 kHz; channels averaged.

    Raises:
        BadInputError: Not a sound file of these kinds.
        TooLongError: Too long.
    """
    if not data:
        raise BadInputError("the file is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.frames / file.samplerate > longest_s:
                raise TooLongError(f"a recording has at most {longest_s:.0f} s")
            if file.channels == 1 and file.subtype == "PCM_16":
                pcm: Int16Array = file.read(dtype="int16")
                return at_16k(pcm, file.samplerate)
            signal: Float32Array = file.read(dtype="float32", always_2d=True)
            return at_16k(to_int16(signal.mean(axis=1, dtype=np.float32)), file.samplerate)
    except (soundfile.LibsndfileError, AudioFormatError) as error:
        # Not the error as a whole, which names an object in memory.
        why = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
        raise BadInputError(
            f"not a sound file this server reads ({why}); send wav, flac, ogg, opus or mp3"
        ) from None


def at_16k(pcm: Int16Array, rate: int) -> Int16Array:
    """Resample a whole signal to 16 kHz.

    Raises:
        AudioFormatError: An unusual rate.
    """
    return pcm if rate == SAMPLE_RATE else resample(pcm, rate, SAMPLE_RATE)
