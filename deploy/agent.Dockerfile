# The agent with every weight of the default: what `make serve` sets up, from the same pins.
FROM python:3.12-slim-bookworm

RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home duplex
WORKDIR /srv/duplex
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agent agent
COPY web web
RUN pip install --no-cache-dir -c constraints.txt ".[webrtc]"

USER duplex
# Weights into the image, each verified: a container starts without a network.
RUN duplex models fetch
EXPOSE 7860
CMD ["duplex", "serve"]
