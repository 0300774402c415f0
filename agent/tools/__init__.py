"""What an agent can do besides talking: typed functions the language model may call."""
