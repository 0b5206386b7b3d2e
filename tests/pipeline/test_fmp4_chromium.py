"""fMP4 in a browser without any library: Media Source Extensions take every segment and play every frame."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from encoded import START, coded, made_of, sound
from playwright.sync_api import Page

from pipeline.hls.containers import FMP4
from pipeline.hls.store import RungStore
from pipeline.ladders.backend import TICKS_PER_S

pytestmark = pytest.mark.requires_chromium

PLAY = """async ([type, pieces]) => {
  if (!MediaSource.isTypeSupported(type)) return null;
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise(done => source.addEventListener("sourceopen", done, {once: true}));
  const buffer = source.addSourceBuffer(type);
  for (const [offset_s, piece] of pieces) {
    buffer.timestampOffset = offset_s;
    await new Promise((done, fail) => {
      buffer.onupdateend = done;
      buffer.onerror = () => fail(new Error("a segment was not taken"));
      buffer.appendBuffer(Uint8Array.from(atob(piece), letter => letter.charCodeAt(0)));
    });
  }
  source.endOfStream();
  const ranges = [...Array(video.buffered.length).keys()].map(i => [video.buffered.start(i), video.buffered.end(i)]);
  const overHole = setInterval(() => {  // as players do that stand before one
    const next = ranges.find(([start]) => start > video.currentTime && start - video.currentTime < 0.3);
    if (next && video.readyState < 3) video.currentTime = next[0];
  }, 50);
  const ended = new Promise((done, fail) => {
    video.onended = done;
    video.onerror = () => fail(new Error(video.error.message));
    setTimeout(() => fail(new Error(`stuck at ${video.currentTime} of ${JSON.stringify(ranges)}`)), 40000);
  });
  await video.play();
  await ended;
  clearInterval(overHole);
  return {ranges, frames: video.getVideoPlaybackQuality().totalVideoFrames};
}"""


@pytest.fixture
def page(viewer) -> Page:
    return viewer.page


def played(page: Page, store: RungStore) -> dict:
    """Return what came of appending all that was published, each broadcast moved behind the one before."""
    pieces, at_s, offset_s, init = [], 0.0, -START / TICKS_PER_S, None
    for segment in store.window.kept:
        if segment.discontinuity:
            offset_s = at_s - START / TICKS_PER_S
        if segment.init != init:
            init = segment.init
            pieces.append((offset_s, init.data))
        pieces.append((offset_s, segment.data))
        at_s += segment.duration_s
    kind = f'video/mp4; codecs="{",".join(store.window.codecs)}"'
    answer = page.evaluate(PLAY, [kind, [(offset, base64.b64encode(data).decode()) for offset, data in pieces]])
    assert answer is not None, f"Chromium does not know {kind}"
    return answer


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("h264", 2), ("av1", 0)])
def test_every_frame_of_every_segment_is_played(page, codec, b_frames):
    store = made_of(coded(codec, b_frames=b_frames), FMP4, codec=codec, audio=sound())
    answer = played(page, store)
    assert answer["ranges"] == [pytest.approx([0.0, 3.0], abs=0.03)]
    assert answer["frames"] == 90


def test_a_publisher_that_was_lost_and_returns_leaves_no_more_of_a_hole_than_its_sound_has(page):
    """The sound of the first ends a frame before its picture, as a dead connection may leave it."""
    store = made_of(coded(b_frames=2), FMP4, audio=sound()[:-1])
    store.interrupt()
    made_of(coded(b_frames=2), FMP4, audio=sound(), store=store)
    ranges = played(page, store)["ranges"]
    assert ranges[0][0] == pytest.approx(0.0, abs=0.01)
    assert ranges[-1][1] == pytest.approx(6.0, abs=0.01)
    assert sum(later[0] - former[1] for former, later in pairwise(ranges)) < 0.03
