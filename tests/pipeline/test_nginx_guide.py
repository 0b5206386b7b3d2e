"""What is wrong in a configuration that is often copied, shown by running nginx with its lines.

The lines are those of the "Nginx-RTMP Setup" that `docs/nginx-ingest.md` compares ours with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from live_pipeline import until
from nginx_ingest import MODULE, run, send_media
from rtmp_samples import KEY

from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from pipeline.rtmp.player import Player

pytestmark = pytest.mark.requires_nginx

HUNG_UP = (RtmpError, OSError)
ANYWHERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
"""Two addresses of this machine: nginx sees publishers come from either."""
GUIDE = """\
load_module {module};
{user}
daemon off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
rtmp {{
    access_log publishers;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{
            live on;
            record off;
            {lines}
        }}
        application hls {{
            live on;
            hls on;
            hls_path hls;
            hls_fragment 2s;
            hls_playlist_length 10s;
            hls_variant _720p BANDWIDTH=3000000,RESOLUTION=1280x720;
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{http_port};
        location /stats {{ rtmp_stat all; }}
    }}
}}
"""


class Guide:
    """nginx as it was told; `complaints` are the lines of its error log so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.http_port = free_port(), free_port()

    @property
    def complaints(self) -> str:
        return (self.folder / "errors").read_text(encoding="utf-8")

    async def publisher(self, key: str, *, address: str = ANYWHERE) -> Publisher:
        """Return a publisher that comes from that address."""
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
            publisher = Publisher(reader, writer, key)
            await publisher._begin(app="live", tc_url="", chunk_bytes=4096, properties={})
        publisher._listener = asyncio.create_task(publisher._listen())
        return publisher


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.asynccontextmanager
async def guide(folder: Path, lines: str) -> AsyncIterator[Guide]:
    """Yield nginx with those lines in the guide's application `live`."""
    running = Guide(folder)
    user = "user root;" if os.geteuid() == 0 else ""
    ports = {"port": running.port, "http_port": running.http_port}
    (folder / "nginx.conf").write_text(GUIDE.format(module=MODULE, user=user, lines=lines, **ports), encoding="utf-8")
    command = [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]
    with (folder / "errors").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stderr=errors)
    try:
        await until(lambda: (folder / "nginx.pid").exists() and (folder / "nginx.pid").read_text().strip() != "")
        yield running
    finally:
        process.terminate()
        await process.wait()


def test_max_connections_counts_every_connection_to_nginx(tmp_path):
    async def scene():
        async with guide(tmp_path, "max_connections 1;") as nginx:
            first = await nginx.publisher("one")
            with pytest.raises(HUNG_UP):
                await nginx.publisher("two")  # another stream altogether
            reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
            player = Player(reader, writer, "one")
            with pytest.raises(HUNG_UP):
                await player._begin(app="live", tc_url="", chunk_bytes=4096, properties={})
            await player.close()
            await first.close()
            assert nginx.complaints.count("limit: too many connections: 2 > 1") == 2

    run(scene)


def test_max_connections_with_a_push_crashes_nginx_on_the_first_publisher(tmp_path):
    async def scene():
        async with guide(tmp_path, f"push rtmp://127.0.0.1:{free_port()}/live; max_connections 1;") as nginx:
            with pytest.raises((*HUNG_UP, PublishRefused)):
                await nginx.publisher("one")
            await until(lambda: "exited on signal 11" in nginx.complaints)
            with pytest.raises(HUNG_UP):
                await nginx.publisher("one")
            # The count is kept in shared memory, which the crash left as it was: nobody is let in any more.
            assert "limit: too many connections: 3 > 1" in nginx.complaints

    run(scene)


def test_allow_publish_from_loopback_refuses_every_real_publisher(tmp_path):
    async def scene():
        async with guide(tmp_path, "allow publish 127.0.0.1; deny publish all; allow play all;") as nginx:
            near = await nginx.publisher("near")
            far = await nginx.publisher("far", address=ELSEWHERE)  # it is told yes, and then hung up on
            await until(far._listener.done)
            assert not near._listener.done()
            assert "access forbidden by rule, client: 127.0.0.2" in nginx.complaints
            await far.close()
            await near.close()

    run(scene)


def test_a_secret_in_the_place_of_the_name_is_on_the_stat_page(tmp_path):
    async def scene():
        async with guide(tmp_path, "") as nginx:
            publisher = await nginx.publisher(KEY)
            await send_media(publisher, 10)
            page = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{nginx.http_port}/stats")
            with page:
                assert f"<name>{KEY}</name>" in page.read().decode()
            await publisher.close()

    run(scene)


def test_a_token_beside_the_name_is_in_the_access_log(tmp_path):
    async def scene():
        async with guide(tmp_path, "") as nginx:
            publisher = await nginx.publisher(f"cam?token={KEY}")
            await send_media(publisher, 10)
            await publisher.close()
            await until(lambda: f'PUBLISH "live" "cam" "token={KEY}"' in (tmp_path / "publishers").read_text())

    run(scene)


@pytest.mark.requires_ffmpeg
def test_variants_are_listed_only_for_streams_that_carry_their_suffix(tmp_path):
    playlists = {}

    async def publish(nginx: Guide, name: str) -> None:
        picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=15", "-t", "4"]
        codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-f", "flv"]
        url = f"rtmp://127.0.0.1:{nginx.port}/hls/{name}"
        process = await asyncio.create_subprocess_exec("ffmpeg", "-v", "error", *picture, *codec, url)
        await until(lambda: (tmp_path / "hls" / "cam.m3u8").exists())
        playlists[name] = (tmp_path / "hls" / "cam.m3u8").read_text(encoding="utf-8")
        process.kill()
        await process.wait()
        (tmp_path / "hls" / "cam.m3u8").unlink()

    async def scene():
        async with guide(tmp_path, "") as nginx:
            await publish(nginx, "cam")
            await publish(nginx, "cam_720p")

    run(scene)
    assert "#EXT-X-STREAM-INF" not in playlists["cam"], "the source as it was pushed has no variants"
    assert "BANDWIDTH=3000000,RESOLUTION=1280x720\ncam_720p.m3u8" in playlists["cam_720p"]


def test_no_publisher_gets_in_while_the_authorisation_is_down(tmp_path):
    """The one line of the guide that fails closed by itself."""

    async def scene():
        async with guide(tmp_path, f"on_publish http://127.0.0.1:{free_port()}/rtmp/auth;") as nginx:
            with pytest.raises(HUNG_UP):
                await nginx.publisher("one")
            assert "Connection refused" in nginx.complaints

    run(scene)
