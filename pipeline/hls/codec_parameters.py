"""What playlists and packets must say about H.264 and AAC, read from the streams' own headers."""

from __future__ import annotations

from dataclasses import dataclass

NAL_SPS = 7
ADTS_HEADER_BYTES = 7
ADTS_MAX_BYTES = 0x1FFF
SAMPLE_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
AAC_LC, SBR, PARAMETRIC_STEREO = 2, 5, 29


class UnsupportedMedia(ValueError):  # noqa: N818 - what the publisher sent, read as "unsupported media: ..."
    """The publisher's media cannot be passed on; the text says what it is."""


def avc1_codec(annex_b: bytes) -> str:
    """Return the RFC 6381 name (`avc1.42c01e`) of an access unit that holds an SPS.

    Profile, constraints and level are the three bytes after the SPS's NAL header (ITU-T H.264, 7.3.2.1.1).
    """
    at = annex_b.find(b"\0\0\1")
    while at >= 0:
        if annex_b[at + 3] & 0x1F == NAL_SPS:
            return "avc1." + annex_b[at + 4 : at + 7].hex()
        at = annex_b.find(b"\0\0\1", at + 3)
    raise ValueError("the access unit holds no SPS")


@dataclass(frozen=True, slots=True)
class AacFormat:
    """An AAC stream's parameters, as its AudioSpecificConfig gives them (ISO/IEC 14496-3, 1.6.2.1)."""

    object_type: int
    rate_index: int
    channels: int
    config: bytes
    """The AudioSpecificConfig itself, as fMP4 carries it."""

    @classmethod
    def from_config(cls, config: bytes) -> AacFormat:
        """Read an AudioSpecificConfig.

        Raises:
            UnsupportedMedia: it is cut short, or ADTS cannot express it.
        """
        if len(config) < 2:
            raise UnsupportedMedia("AAC configuration of less than 2 bytes")
        object_type = config[0] >> 3
        rate_index = (config[0] & 0b111) << 1 | config[1] >> 7
        channels = (config[1] >> 3) & 0b1111
        if object_type not in (1, AAC_LC, 3, 4, SBR, PARAMETRIC_STEREO):
            raise UnsupportedMedia(f"AAC object type {object_type}; send AAC-LC (2)")
        if rate_index >= len(SAMPLE_RATES_HZ):
            raise UnsupportedMedia("AAC with a sample rate of its own; send 44100 or 48000 Hz")
        if not 1 <= channels <= 7:
            raise UnsupportedMedia("AAC with a channel layout of its own; send mono or stereo")
        return cls(object_type, rate_index, channels, config)

    @property
    def sample_rate_hz(self) -> int:
        """Samples per second of the AAC core."""
        return SAMPLE_RATES_HZ[self.rate_index]

    @property
    def codec(self) -> str:
        """The RFC 6381 name, such as `mp4a.40.2`."""
        return f"mp4a.40.{self.object_type}"

    def adts(self, payload: bytes) -> bytes:
        """Return one frame with its ADTS header (ISO/IEC 14496-3, 1.A.2), as MPEG-TS carries AAC.

        HE-AAC is announced as its AAC-LC core; decoders find the extension in the payload.

        Raises:
            UnsupportedMedia: the frame is longer than ADTS can say.
        """
        size = len(payload) + ADTS_HEADER_BYTES
        if size > ADTS_MAX_BYTES:
            raise UnsupportedMedia(f"AAC frame of {len(payload)} bytes; ADTS holds {ADTS_MAX_BYTES}")
        profile = (AAC_LC if self.object_type in (SBR, PARAMETRIC_STEREO) else self.object_type) - 1
        header = bytes(
            (
                0xFF,
                0xF1,  # MPEG-4, no checksum
                profile << 6 | self.rate_index << 2 | self.channels >> 2,
                (self.channels & 0b11) << 6 | size >> 11,
                size >> 3 & 0xFF,
                (size & 0b111) << 5 | 0b11111,  # buffer fullness: variable rate
                0b11111100,  # one raw data block
            )
        )
        return header + payload
