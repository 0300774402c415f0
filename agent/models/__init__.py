"""Where weights come from: a catalogue, a store that finds and checks them, and set-up.

`store.locate(name)` is what the stages call; nothing here touches the network but `fetch`,
which only set-up and ``duplex models fetch`` run.
"""
