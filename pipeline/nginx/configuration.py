"""The configuration that nginx runs with, as text: typed settings in, every directive's reason in the docs page.

nginx runs in a private folder and every path in the text is relative to it, so nothing of this machine or of a
publisher is ever quoted into the configuration.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.rtmp.keys import APP
from pipeline.rtmp.limits import MAX_MESSAGE_BYTES
from scenarios.ladder import Ladder

HLS_APP = "hls"
PID_FILE = "nginx.pid"
RTMP_SOCKET, CALLBACK_SOCKET, CONTROL_SOCKET = "rtmp.sock", "callbacks.sock", "control.sock"
"""Unix sockets in the private folder: no other user of the machine can open them."""
PUBLISH_PATH, PUBLISH_DONE_PATH, DISCONNECT_PATH, PUSHED_PATH = "/publish", "/publish_done", "/disconnect", "/pushed"
"""What nginx asks and tells over `CALLBACK_SOCKET`."""
TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
DROP_IDLE_S = 10
"""How long a publisher may be silent before nginx drops it: the idle deadline of our own server."""

_MODULE = re.compile(r"/[A-Za-z0-9_./+-]+\.so")
_TAG = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SUFFIX = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class NginxSettings:
    """What the configuration is made from; ValueError for whatever could break out of its directive.

    Attributes:
        module: the rtmp module's shared object, absolute.
        host: IP address that publishers connect to.
        rtmp_port: its port, which the push to the application `hls` uses too.
        http_port: loopback port of the stat page and of nginx's own HLS.
        push_tag: random for each run; marks what nginx pushes to itself, so that nobody else can publish there.
        ladder: its rungs become `hls_variant` lines.
        hls_fragment_s, hls_playlist_s: length of a segment and of the playlist of nginx's own HLS.
        worker_connections: sockets open at a time; each publisher takes five.
        as_root: root starts nginx, whose worker must then stay root to enter the private folder.
    """

    module: Path
    host: str
    rtmp_port: int
    http_port: int
    push_tag: str = field(repr=False)
    ladder: Ladder
    hls_fragment_s: int = 2
    hls_playlist_s: int = 10
    worker_connections: int = 4096
    as_root: bool = False

    def __post_init__(self) -> None:
        """Check every value that is written into the text."""
        if not _MODULE.fullmatch(str(self.module)):
            raise ValueError(f"{str(self.module)!r} is no absolute path of a module")
        if "%" in str(ipaddress.ip_address(self.host)):
            raise ValueError(f"{self.host!r} names a network interface, which nginx cannot listen on")
        for port in (self.rtmp_port, self.http_port):
            if not 1 <= port <= 65535:
                raise ValueError(f"{port} is no TCP port")
        if not _TAG.fullmatch(self.push_tag):
            raise ValueError("the tag of the push must be 16 or more of A-Z a-z 0-9 _ and -")
        for rung in self.ladder.rungs:
            if not _SUFFIX.fullmatch(rung.name):
                raise ValueError(f"the rung name {rung.name!r} cannot be the suffix of an HLS variant")
        if not 1 <= self.hls_fragment_s <= self.hls_playlist_s:
            raise ValueError("a fragment lasts from 1 s up to the length of the playlist")
        if self.worker_connections < 16:
            raise ValueError("fewer than 16 connections serve no publisher")

    @property
    def push_host(self) -> str:
        """Where nginx reaches itself, and is seen to come from: a wildcard address is no destination."""
        address = ipaddress.ip_address(self.host)
        if not address.is_unspecified:
            return self.host
        return "127.0.0.1" if address.version == 4 else "::1"


def configuration(settings: NginxSettings) -> str:
    """Return the text of `nginx.conf`; `docs/nginx-ingest.md` explains it line by line."""
    return _TEMPLATE.format(
        module=settings.module,
        user="user root;\n" if settings.as_root else "",
        worker_connections=settings.worker_connections,
        publish_address=f"{url_host(settings.host)}:{settings.rtmp_port}",
        push_address=f"{url_host(settings.push_host)}:{settings.rtmp_port}",
        pid_file=PID_FILE,
        rtmp_socket=RTMP_SOCKET,
        callbacks=f"http://unix:{CALLBACK_SOCKET}:",
        disconnect=DISCONNECT_PATH,
        publish=PUBLISH_PATH,
        publish_done=PUBLISH_DONE_PATH,
        pushed=PUSHED_PATH,
        app=APP,
        hls_app=HLS_APP,
        push_tag=settings.push_tag,
        max_message=MAX_MESSAGE_BYTES,
        drop_idle_s=DROP_IDLE_S,
        push_source=settings.push_host,
        fragment_s=settings.hls_fragment_s,
        playlist_s=settings.hls_playlist_s,
        variants="\n".join(_variants(settings.ladder)),
        temporary="\n".join(f"    {name}_temp_path {name};" for name in TEMPORARY_FOLDERS),
        http_port=settings.http_port,
        control_socket=CONTROL_SOCKET,
    )


def _variants(ladder: Ladder) -> list[str]:
    return [
        f"            hls_variant _{rung.name} BANDWIDTH={rung.bitrate_bps:.0f},RESOLUTION={rung.width}x{rung.height};"
        for rung in ladder.rungs
    ]


def url_host(host: str) -> str:
    """Return the address as URLs and nginx write it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


_TEMPLATE = """\
load_module {module};
{user}daemon off;
worker_processes 1;
pid {pid_file};
error_log stderr error;

events {{
    worker_connections {worker_connections};
}}

rtmp {{
    access_log off;

    server {{
        listen {publish_address};
        listen unix:{rtmp_socket};
        chunk_size 4096;
        max_message {max_message};
        ping 30s;
        ping_timeout 10s;
        on_disconnect {callbacks}{disconnect};

        application {app} {{
            live on;
            record off;
            idle_streams on;
            wait_key on;
            drop_idle_publisher {drop_idle_s}s;
            deny play all;
            notify_method post;
            on_publish {callbacks}{publish};
            on_publish_done {callbacks}{publish_done};
            push rtmp://{push_address}/{hls_app} tcUrl={push_tag};
        }}

        application {hls_app} {{
            live on;
            record off;
            allow publish {push_source};
            deny publish all;
            deny play all;
            notify_method post;
            on_publish {callbacks}{pushed};
            hls on;
            hls_path {hls_app};
            hls_fragment {fragment_s}s;
            hls_playlist_length {playlist_s}s;
{variants}
        }}
    }}
}}

http {{
    access_log off;
    server_tokens off;
{temporary}

    server {{
        listen 127.0.0.1:{http_port};

        location /{hls_app} {{
            types {{
                application/vnd.apple.mpegurl m3u8;
                video/mp2t ts;
            }}
            root .;
            add_header Cache-Control no-cache;
            add_header Access-Control-Allow-Origin *;
        }}

        location = /stats {{
            rtmp_stat all;
        }}
    }}

    server {{
        listen unix:{control_socket};

        location /control {{
            rtmp_control all;
        }}
    }}
}}
"""
