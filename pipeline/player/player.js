// Plays one live stream with hls.js, and keeps at it: before it begins, over lost publishers and restarted servers,
// and after its end, should it come back.

import { Viewing } from "./viewing.js";

const HLS_SETTINGS = {
  lowLatencyMode: false,
  backBufferLength: 30,
  // In target durations: where to join, and how far behind, by stalls or a pause, is too far.
  liveSyncDurationCount: 3,
  liveMaxLatencyDurationCount: 10,
  // Where a publisher was lost, sound ends some frames before or after the picture.
  maxBufferHole: 0.5,
  nudgeMaxRetry: 10,
};
const FIRST_RETRY_S = 1;
const LONGEST_RETRY_S = 5;
const PROBE_TIMEOUT_MS = 5000;
const MEDIA_RECOVERY_EVERY_MS = 5000; // a decoder that fails again sooner needs the source anew

// The state of the stream behind a multivariant playlist: "live", "ended", "missing" or "unreachable".
async function probe(url) {
  const get = (target) => fetch(target, { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  try {
    const multivariant = await get(url);
    if (!multivariant.ok) return multivariant.status === 404 ? "missing" : "unreachable";
    const variant = (await multivariant.text()).split("\n").find((line) => line && !line.startsWith("#"));
    const media = await get(new URL(variant, url));
    if (!media.ok) return media.status === 404 ? "missing" : "unreachable";
    return (await media.text()).includes("#EXT-X-ENDLIST") ? "ended" : "live";
  } catch {
    return "unreachable"; // refused, cut off or too slow: fetch does not tell which
  }
}

// Settles at once for 0 failures, then after waits that grow by half; the spread keeps a crowd from asking in one beat.
function backOff(failures) {
  if (failures === 0) return Promise.resolve();
  const delay_s = Math.min(LONGEST_RETRY_S, FIRST_RETRY_S * 1.5 ** (failures - 1));
  return new Promise((resume) => setTimeout(resume, 1000 * delay_s * (0.75 + 0.5 * Math.random())));
}

// A rung's name is the folder of its playlist.
const rungName = (level) => decodeURIComponent(new URL(level.url[0]).pathname.split("/").at(-2));

export class Player {
  choice = "auto";
  #state = "connecting"; // or waiting, unreachable, playing, ended
  #video;
  #url;
  #viewing;
  #hls = null;
  #loads = 0;
  #opening = 0; // which call of #open is the latest: an earlier one gives up
  #failures = 0; // attempts to open since it last played, which itself counts as one: reopening is never instant
  #bitrate_bps = null;
  #newest = new Map(); // newest segment number seen, by playlist
  #networkFailures = 0; // since a segment last came
  #mediaRecovered_ms = -Infinity;

  constructor(video, url) {
    this.#video = video;
    this.#url = url;
    this.#viewing = new Viewing(video);
    video.addEventListener("playing", () => {
      this.#state = "playing";
      this.#failures = 1;
    });
  }

  start() {
    this.#open("connecting");
  }

  get rungs() {
    const levels = this.#hls?.levels ?? [];
    return levels.map((level) => ({ name: rungName(level), width: level.width, height: level.height }));
  }

  choose(name) {
    this.choice = name;
    if (this.#hls) this.#hls.nextLevel = this.#chosenLevel();
  }

  goLive() {
    const live_s = this.#hls?.liveSyncPosition;
    if (live_s) this.#video.currentTime = live_s;
    this.#video.play().catch(() => {}); // the browser may want a touch of its own controls first
  }

  // Everything a viewer or a test wants to know, as a plain object; null is "not known now". `state` is connecting,
  // waiting, unreachable, playing, paused, stalled or ended.
  figures() {
    const { videoWidth, videoHeight, currentTime } = this.#video;
    return {
      state: this.#shownState(),
      choice: this.choice,
      rungs: this.rungs,
      rung: this.rungs[this.#hls?.currentLevel ?? -1]?.name ?? null,
      width: videoWidth,
      height: videoHeight,
      position_s: currentTime,
      latency_s: this.#latency_s(),
      buffer_s: this.#buffer_s(),
      bitrate_bps: this.#bitrate_bps,
      bandwidth_bps: this.#hls?.bandwidthEstimate || null,
      loads: this.#loads,
      ...this.#viewing.figures(),
    };
  }

  // Opens the stream anew as soon as there is something of it that was not shown yet; the last picture stays till then.
  async #open(state) {
    const opening = ++this.#opening;
    this.#hls?.stopLoad();
    this.#state = state;
    for (;;) {
      await backOff(this.#failures++);
      const found = await probe(this.#url);
      if (opening !== this.#opening) return;
      if (found === "live" || (found === "ended" && state !== "ended")) break;
      this.#state = found === "missing" ? "waiting" : found;
    }
    this.#close();
    this.#state = "connecting";
    this.#load();
  }

  #load() {
    const hls = (this.#hls = new Hls(HLS_SETTINGS));
    this.#loads += 1;
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      if (this.#chosenLevel() >= 0) hls.startLevel = hls.loadLevel = this.#chosenLevel();
    });
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => this.#notice(details));
    hls.on(Hls.Events.FRAG_BUFFERED, () => (this.#networkFailures = 0));
    hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => (this.#bitrate_bps = (8 * frag.stats.total) / frag.duration));
    hls.on(Hls.Events.MEDIA_ENDED, () => {
      this.#viewing.streamEnds();
      this.#open("ended");
    });
    hls.on(Hls.Events.ERROR, (_, data) => this.#recover(data));
    hls.loadSource(this.#url);
    hls.attachMedia(this.#video);
  }

  #close() {
    if (!this.#hls) return;
    this.#viewing.sourceEnds();
    this.#hls.destroy();
    this.#hls = null;
    this.#bitrate_bps = null;
    this.#newest.clear();
    this.#networkFailures = 0;
  }

  // A server that was restarted numbers its segments from 0: hls.js would take them for the old ones.
  #notice(details) {
    const newest = this.#newest.get(details.url) ?? -1;
    if (details.endSN < newest) this.#open("connecting");
    else this.#newest.set(details.url, details.endSN);
  }

  #recover(data) {
    this.#viewing.error(data);
    if (!data.fatal) return;
    const { NETWORK_ERROR, MEDIA_ERROR } = Hls.ErrorTypes;
    const hls = this.#hls;
    const now_ms = performance.now();
    if (data.type === NETWORK_ERROR && this.#networkFailures++ === 0) {
      backOff(1).then(() => hls === this.#hls && hls.startLoad());
    } else if (data.type === MEDIA_ERROR && now_ms - this.#mediaRecovered_ms > MEDIA_RECOVERY_EVERY_MS) {
      this.#mediaRecovered_ms = now_ms;
      hls.recoverMediaError();
    } else {
      this.#open("connecting");
    }
  }

  #chosenLevel() {
    return this.rungs.findIndex((rung) => rung.name === this.choice); // -1 lets hls.js choose
  }

  #shownState() {
    const { paused, readyState, error } = this.#video;
    if (this.#state === "playing" && (error || this.#viewing.isStalled)) return "stalled";
    const isOpen = this.#state === "connecting" || this.#state === "playing";
    return isOpen && paused && readyState === HTMLMediaElement.HAVE_ENOUGH_DATA ? "paused" : this.#state;
  }

  #latency_s() {
    const playing = this.#hls?.playingDate;
    return playing && this.#state === "playing" ? (Date.now() - playing.getTime()) / 1000 : null;
  }

  #buffer_s() {
    const { buffered, currentTime } = this.#video;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) <= currentTime && currentTime <= buffered.end(i)) return buffered.end(i) - currentTime;
    }
    return 0;
  }
}
