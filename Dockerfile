# Simulator and pipeline on Debian, with what an NVIDIA GPU needs. Never built here: no Docker was at hand; what can be
# told without it is checked by tests/test_dockerfile.py.
#
#   docker build -t headroom .
#   docker run --rm --gpus all headroom                      what this machine can run
#   docker run --rm --gpus all -p 127.0.0.1:1935:1935 -p 127.0.0.1:8080:8080 headroom serve --host 0.0.0.0
#
# Within a container 127.0.0.1 is the container itself, so `serve` must listen on all its addresses; `-p 127.0.0.1:...`
# keeps both ports on the loopback of the host. RTMP carries stream keys in clear: publish a port to a network only
# where you would send a password over it. Without a GPU leave out `--gpus all`: x264 encodes.
#
# PyAV's wheel brings libx264 and libx265 (GPL-2.0-or-later): mind that before you hand the image on.

# The release whose ffmpeg (5.1) and nginx (1.22) the tests run against.
FROM python:3.11-slim-bookworm

# The toolkit of NVIDIA gives a container only the parts of the driver that are named: `video` is NVENC and NVDEC.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=video,compute,utility \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp

RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg nginx libnginx-mod-rtmp \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md LICENSE headroom.py /src/
COPY scenarios /src/scenarios
COPY sim /src/sim
COPY pipeline /src/pipeline
RUN pip install --no-cache-dir "/src[pipeline,gpu]"

RUN useradd --uid 1000 --no-create-home headroom && install -d -o headroom -g headroom /work
USER headroom
# Where bundles and profiles are written: mount a folder of the host here, with --user "$(id -u)" so that it is yours.
WORKDIR /work

EXPOSE 1935 8080
ENTRYPOINT ["headroom"]
CMD ["doctor"]
