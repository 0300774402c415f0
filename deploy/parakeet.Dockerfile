# The recognition server on a GPU; the checkpoint is mounted, see docs/parakeet.md.
FROM python:3.12-slim-bookworm

RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends libsndfile1 libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home duplex
WORKDIR /srv/duplex
COPY pyproject.toml constraints-parakeet.txt README.md LICENSE ./
COPY agent agent
COPY web web
RUN pip install --no-cache-dir torch==2.13.0 \
    && pip install --no-cache-dir -c constraints-parakeet.txt ".[asr-server,parakeet,triton]"

USER duplex
EXPOSE 8770
CMD ["duplex", "asr-server", "--host", "0.0.0.0", "--port", "8770"]
