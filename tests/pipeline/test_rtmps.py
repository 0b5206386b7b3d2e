"""RTMPS: the same server inside TLS."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from live_pipeline import serving
from rtmp_samples import KEY, KEYFRAME, VIDEO_HEADER, run, studio
from typer.testing import CliRunner

from pipeline import cli
from pipeline.rtmp import Publisher
from pipeline.rtmp.tls import rtmps_context
from scenarios.errors import ScenarioError


def test_a_broadcast_arrives_through_tls(certificate):
    async def scene():
        async with studio(ssl_context=certificate.server) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY, ssl_context=certificate.client)
            await publisher.send_video(0, VIDEO_HEADER)
            await publisher.send_video(40, KEYFRAME)
            await publisher.close()
            await place.until(lambda: place.recorders["cam"].closed)
            assert [frame.dts_ms for frame, _ in place.recorders["cam"].videos] == [40]
            assert place.recorders["cam"].closed == ["unpublished"]

    run(scene())


def test_plain_rtmp_to_the_tls_port_is_dropped_and_disturbs_nobody(certificate):
    async def scene():
        async with studio(ssl_context=certificate.server) as place:
            good = await Publisher.open(port=place.server.port, key=KEY, ssl_context=certificate.client)
            with pytest.raises(Exception, match=r"hung up|reset|closed"):
                await Publisher.open(port=place.server.port, key=KEY)
            await good.send_video(0, VIDEO_HEADER)
            await good.send_video(0, KEYFRAME)
            await place.until(lambda: place.recorders["cam"].videos)
            await good.close()

    run(scene())


@pytest.mark.requires_ffmpeg
def test_ffmpeg_publishes_to_serve_over_rtmps(certificate):
    files = ("--rtmps-cert", str(certificate.chain_file), "--rtmps-key", str(certificate.key_file))
    with serving(*files) as server:
        assert server.publish_url.startswith("rtmps://127.0.0.1:")
        picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]
        codec = ["-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-f", "flv"]
        trust = ["-tls_verify", "1", "-ca_file", str(certificate.authority_file)]
        with subprocess.Popen(["ffmpeg", "-v", "error", *picture, *codec, *trust, server.publish_url]) as ffmpeg:
            server.wait_for_playlist(30)
            ffmpeg.kill()


def test_files_that_cannot_be_used_are_named(certificate, tmp_path):
    with pytest.raises(ScenarioError, match=r"--rtmps-cert: .*absent.pem is no file; name a PEM file"):
        rtmps_context(tmp_path / "absent.pem", certificate.key_file)
    with pytest.raises(ScenarioError, match=r"cannot be used: .*its own key"):
        rtmps_context(certificate.chain_file, certificate.chain_file)
    scrap = tmp_path / "scrap.pem"
    scrap.write_text("no PEM", encoding="utf-8")
    with pytest.raises(ScenarioError, match="cannot be used"):
        rtmps_context(scrap, scrap)


def test_a_key_with_a_pass_phrase_is_refused_and_asks_nobody(certificate, tmp_path):
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(certificate.key_file.read_bytes(), None)
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked.write_bytes(key.private_bytes(*kind, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(ScenarioError, match="without a pass phrase"):
        rtmps_context(certificate.chain_file, locked)


def test_one_file_without_the_other_is_a_wrong_flag(certificate):
    result = CliRunner().invoke(cli.app, ["serve", "--rtmps-cert", str(certificate.chain_file)])
    assert result.exit_code == 2
    assert "go together" in result.output
