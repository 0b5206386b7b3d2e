"""fMP4 segments cut by FFmpeg's `mp4` muxer: one init segment, then a `moof` and its `mdat` per segment.

The options make what a player reads exact: decode times are the timeline's own (`frag_discont`), no edit list
moves them, and composition offsets are never negative, which some demuxers would take for a shift of the track.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av

from pipeline.hls.codec_parameters import ADTS_HEADER_BYTES, AacFormat
from pipeline.hls.decoder_config import codec_name
from pipeline.hls.mpegts import MAX_INTERLEAVE_S, TIME_BASE
from pipeline.ladders.backend import TICKS_PER_S, RungPacket
from scenarios.ladder import Rung

RAW_FORMATS = {"h264": "h264", "hevc": "hevc", "av1": "obu"}
"""FFmpeg's name of each codec's bare stream, as `RungPacket.data` holds it."""
SAMPLE_ENTRIES = {"h264": "avc1", "hevc": "hvc1", "av1": "av01"}
"""How parameter sets are stored: once, in the init segment; FFmpeg's own choice for HEVC, `hev1`, is not for HLS."""
AAC_FRAME_SAMPLES = 1024
AUDIO_JITTER_S = 0.002
"""Times of audio frames this close to the end of the frame before were rounded on the way: FLV has milliseconds."""


class _FragmentFile:
    """What FFmpeg writes into; a finished `moov` or `mdat` box ends what is handed on."""

    def __init__(self, complete: Callable[[bytes], None]) -> None:
        self._complete = complete
        self._data = bytearray()
        self._box_at = 0

    def write(self, data: bytes) -> int:
        self._data += data
        while (box_end := self._box_at + self._box_bytes()) <= len(self._data):
            kind = self._data[self._box_at + 4 : self._box_at + 8]
            self._box_at = box_end
            if kind in (b"moov", b"mdat"):
                piece = bytes(self._data[:box_end])
                del self._data[:box_end]
                self._box_at = 0
                self._complete(piece)
        return len(data)

    def _box_bytes(self) -> int:
        """Return the size of the box being written; at least its header's, which tells it (ISO/IEC 14496-12, 4.2)."""
        return max(8, int.from_bytes(self._data[self._box_at : self._box_at + 4], "big"))


class Fmp4Muxer:
    """A `Muxer` of fMP4; video and audio share each segment.

    Attributes:
        init: the init segment of every segment it publishes.
        video_codec: RFC 6381 name of the video.
    """

    def __init__(self, rung: Rung, *, first: bytes, audio: AacFormat | None, publish: Callable[[bytes], None]) -> None:
        """Open the muxer; see `Container.open`."""
        self._frame = round(TICKS_PER_S / rung.fps)
        self._container = av.open(
            _FragmentFile(lambda piece: self._publish(piece)),
            "w",
            format="mp4",
            options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont+skip_trailer",
                "use_editlist": "0",
                "avoid_negative_ts": "disabled",
                "fflags": "+bitexact",  # no version of a library: equal streams have equal init segments
                "flush_packets": "1",
                "max_interleave_delta": str(round(MAX_INTERLEAVE_S * 1e6)),
            },
        )
        self._video = self._like(first, RAW_FORMATS[rung.codec])
        self._video.codec_context.codec_tag = SAMPLE_ENTRIES[rung.codec]
        self._video.time_base = TIME_BASE
        self._audio = None if audio is None else self._add_audio(audio)
        self._publish = self._note_init
        self.init = b""
        self._container.start_encoding()
        self._publish = publish
        self.video_codec = codec_name(self.init)
        self._next_sample = 0
        self._last_sample = -1

    def _like(self, data: bytes, raw_format: str) -> av.VideoStream | av.AudioStream:
        """Add a stream with the parameters that FFmpeg reads in `data`."""
        with av.open(io.BytesIO(data), format=raw_format) as parsed:
            return self._container.add_stream_from_template(parsed.streams[0], opaque=True)

    def _add_audio(self, audio: AacFormat) -> av.AudioStream:
        stream = self._like(audio.adts(b""), "aac")  # names the codec; the rest is known better here
        stream.codec_context.extradata = audio.config
        stream.codec_context.sample_rate = audio.sample_rate_hz
        stream.time_base = Fraction(1, audio.sample_rate_hz)
        return stream

    def _note_init(self, init: bytes) -> None:
        self.init = init

    def video(self, packet: RungPacket) -> None:
        """See `Muxer.video`."""
        coded = av.Packet(packet.data)
        coded.stream = self._video
        coded.pts, coded.dts, coded.time_base = packet.pts, packet.dts, TIME_BASE
        coded.duration = self._frame  # of the last frame; all others last until the next
        coded.is_keyframe = packet.is_keyframe
        self._container.mux_one(coded)

    def audio(self, pts: int, adts: bytes) -> None:
        """See `Muxer.audio`; frames follow each other sample by sample unless the publisher left a hole."""
        assert self._audio is not None
        at = round(pts * self._audio.time_base.denominator / TICKS_PER_S)
        if abs(at - self._next_sample) <= AUDIO_JITTER_S * self._audio.time_base.denominator:
            at = self._next_sample
        at = max(at, self._last_sample + 1)
        self._last_sample, self._next_sample = at, at + AAC_FRAME_SAMPLES
        coded = av.Packet(adts[ADTS_HEADER_BYTES:])
        coded.stream = self._audio
        coded.pts = coded.dts = at
        coded.duration = AAC_FRAME_SAMPLES
        coded.time_base = self._audio.time_base
        coded.is_keyframe = True
        self._container.mux_one(coded)

    def close(self) -> None:
        """See `Muxer.close`."""
        self._container.close()

    def abandon(self) -> None:
        """See `Muxer.abandon`."""
        self._publish = lambda data: None
        self._container.close()
