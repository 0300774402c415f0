"""The test kit: conversations with an agent, written down, held and scored.

Developers import from here: `text` holds a typed conversation in milliseconds, `scenario` a spoken
one on virtual time, `contract` says whether an adapter keeps its promises, and `plugin` brings all
three to pytest. `duplex bench scenario.yaml` is the same from the command line.
"""
