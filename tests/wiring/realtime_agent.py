"""A talking agent whose mind is elsewhere: started by the tests of clients with its address."""

import sys

from agent import Agent, serve

agent = Agent("You are a shop's assistant.", greeting="Hello, this is the shop.")

serve(agent, port=0, llm=f"openai:{sys.argv[1]}#scripted", asr="moonshine:base")
