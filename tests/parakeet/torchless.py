"""An engine whose package is not installed, noticed only when it is made."""


def open_engine(_config):
    import no_such_torch  # noqa: F401
