"""An agent for the browser: a page, WebRTC and WebSocket on http://127.0.0.1:7860.

python pipelines/browser.py
"""

from agent import Agent, serve

agent = Agent(
    "You are Duplex, a friendly voice assistant running on this computer, without a network.",
    greeting="Hi, I'm Duplex. What can I do for you?",
)

if __name__ == "__main__":
    serve(agent)
