"""One class per remedy: retry, degrade, end the call, fix the settings.

Every message says what happened and what to do about it.
"""


class DuplexError(Exception):
    """Anything Duplex raises on purpose."""


class RetryError(DuplexError):
    """A passing fault: the same call may succeed if made again."""


class DegradedError(DuplexError):
    """A part is lost but the conversation can go on with less."""


class CallEndedError(DuplexError):
    """The conversation cannot go on."""


class SettingsError(DuplexError):
    """A setting is wrong; the message names the key and the nearest valid one."""


class MissingModelError(SettingsError):
    """A weight is absent or damaged; the message names the command that brings it."""


class AudioFormatError(DuplexError):
    """Audio has the wrong dtype, shape or rate for the function it was given to."""
