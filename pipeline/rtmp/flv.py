"""FLV tag bodies, which RTMP messages carry (Adobe FLV 10.1, annex E.4; Enhanced RTMP v2)."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.rtmp.errors import RtmpError

AVC_CODEC_ID = 7
AAC_SOUND_FORMAT = 10
EX_AUDIO_FORMAT = 9

_KEYFRAME, _COMMAND_FRAME = 1, 5

_VIDEO_CODECS = {
    2: "Sorenson H.263",
    3: "Screen video",
    4: "VP6",
    5: "VP6 with alpha",
    6: "Screen video 2",
    12: "HEVC",
}
_AUDIO_CODECS = {
    0: "PCM",
    1: "ADPCM",
    2: "MP3",
    3: "PCM",
    4: "Nellymoser",
    5: "Nellymoser",
    6: "Nellymoser",
    7: "G.711 A-law",
    8: "G.711 mu-law",
    11: "Speex",
    14: "MP3",
}
_FOURCC_CODECS = {
    b"avc1": "H.264",
    b"hvc1": "HEVC",
    b"vvc1": "VVC",
    b"av01": "AV1",
    b"vp08": "VP8",
    b"vp09": "VP9",
    b"mp4a": "AAC",
    b"Opus": "Opus",
    b"fLaC": "FLAC",
    b"ac-3": "AC-3",
    b"ec-3": "E-AC-3",
    b".mp3": "MP3",
}


@dataclass(frozen=True, slots=True)
class AvcSequenceHeader:
    """The decoder configuration of the frames that follow: an avcC record (ISO/IEC 14496-15, 5.3.3.1)."""

    avcc: bytes


@dataclass(frozen=True, slots=True)
class CodedVideo:
    """One H.264 access unit: length-prefixed NAL units, shown `composition_ms` after it is decoded."""

    is_keyframe: bool
    composition_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class AacSequenceHeader:
    """The decoder configuration of what follows: an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""

    asc: bytes


@dataclass(frozen=True, slots=True)
class CodedAudio:
    """One raw AAC access unit, without ADTS header."""

    payload: bytes


def parse_video(body: bytes) -> AvcSequenceHeader | CodedVideo | None:
    """Return what a video message carries; None for one without media: end of sequence, player command.

    Raises:
        RtmpError: another codec than H.264, any Enhanced RTMP packet, or a body cut short.
    """
    _require(body, 1, "video")
    if body[0] & 0x80:
        raise _unsupported(_enhanced_codec(body))
    frame_type, codec_id = body[0] >> 4, body[0] & 0x0F
    if codec_id != AVC_CODEC_ID:
        raise _unsupported(_VIDEO_CODECS.get(codec_id, f"video codec {codec_id}"))
    if frame_type == _COMMAND_FRAME:
        return None
    _require(body, 5, "video")
    payload = body[5:]
    match body[1]:
        case 0:  # sequence header
            _check_avcc(payload)
            return AvcSequenceHeader(payload)
        case 1:  # coded frame
            composition_ms = int.from_bytes(body[2:5], "big", signed=True)
            return CodedVideo(frame_type == _KEYFRAME, composition_ms, payload)
        case 2:  # end of sequence
            return None
    raise RtmpError(f"AVC packet type {body[1]} does not exist")


def parse_audio(body: bytes) -> AacSequenceHeader | CodedAudio | None:
    """Return what an audio message carries; None for an empty one, which some publishers send for silence.

    Raises:
        RtmpError: another codec than AAC, any Enhanced RTMP packet, or a body cut short.
    """
    if not body:
        return None
    sound_format = body[0] >> 4
    if sound_format == EX_AUDIO_FORMAT:
        raise _unsupported(_enhanced_codec(body))
    if sound_format != AAC_SOUND_FORMAT:
        raise _unsupported(_AUDIO_CODECS.get(sound_format, f"audio codec {sound_format}"))
    _require(body, 2, "audio")
    payload = body[2:]
    match body[1]:
        case 0:  # sequence header
            if len(payload) < 2:
                raise RtmpError("an AAC sequence header without its AudioSpecificConfig")
            return AacSequenceHeader(payload)
        case 1:  # raw access unit
            return CodedAudio(payload)
    raise RtmpError(f"AAC packet type {body[1]} does not exist")


def _check_avcc(avcc: bytes) -> None:
    """Refuse an avcC whose parameter sets do not lie inside it: it goes to a decoder as it stands."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise RtmpError("an AVC sequence header that is no avcC record of version 1")
    position = 5
    for mask in (0x1F, 0xFF):  # the number of SPS shares its byte with reserved bits, that of PPS does not
        sets = avcc[position] & mask if position < len(avcc) else 0
        if sets == 0:
            raise RtmpError("an avcC record without SPS or PPS")
        position += 1
        for _ in range(sets):
            position += 2 + int.from_bytes(avcc[position : position + 2], "big")
    if position > len(avcc):
        raise RtmpError("an avcC record that is cut short")


def _enhanced_codec(body: bytes) -> str:
    fourcc = body[1:5]
    return f"{_FOURCC_CODECS.get(fourcc, f'FourCC 0x{fourcc.hex()}')} (enhanced RTMP)"


def _unsupported(codec: str) -> RtmpError:
    return RtmpError(f"only H.264 video and AAC audio; got {codec}")


def _require(body: bytes, size: int, kind: str) -> None:
    if len(body) < size:
        raise RtmpError(f"the {kind} message has {len(body)} bytes, fewer than its header")
