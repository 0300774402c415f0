"""Values of command-line options, read or refused. Pure."""

import argparse
import math


def port(text: str) -> int:
    """A TCP port; 0 is any that is free.

    Raises:
        ArgumentTypeError: It is none, which argparse tells.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def seconds(text: str) -> float:
    """A duration above 0.

    Raises:
        ArgumentTypeError: It is none, which argparse tells.
    """
    if not (value := wait(text)):
        raise argparse.ArgumentTypeError("0 seconds are too few")
    return value


def wait(text: str) -> float:
    """A duration, 0 for none.

    Raises:
        ArgumentTypeError: It is none, which argparse tells.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def count(text: str) -> int:
    """A whole number from 1 on.

    Raises:
        ArgumentTypeError: It is none, which argparse tells.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def counts(text: str) -> list[int]:
    """Whole numbers from 1 on, separated by commas.

    Raises:
        ArgumentTypeError: One is none, which argparse tells.
    """
    return [count(part.strip()) for part in text.split(",")]
