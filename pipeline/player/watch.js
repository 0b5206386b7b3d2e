// The page of one stream: shows the player's state and figures, and lets the viewer choose a rung.
// Texts from outside (names, errors) only ever become textContent.

import { Player } from "./player.js";

const REFRESH_MS = 500;
const STATES = {
  connecting: "Connecting …",
  waiting: "Waiting for the stream. It plays here as soon as it is published.",
  unreachable: "The server cannot be reached. Trying again …",
  playing: "Playing",
  paused: "Paused",
  stalled: "Waiting for more of the stream …",
  ended: "The stream has ended. Should it come back, it plays on here.",
};
const IS_RUNNING = new Set(["playing", "paused", "stalled"]);
const rate = (bps) => (bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${(bps / 1e6).toFixed(1)} Mbit/s`);
const seconds = (s) => `${s.toFixed(1)} s`;
const SHOWN = {
  rung: (f) => f.rung && `${f.rung} · ${f.width}×${f.height}`,
  latency_s: (f) => f.latency_s !== null && seconds(f.latency_s),
  buffer_s: (f) => seconds(f.buffer_s),
  bitrate_bps: (f) => f.bitrate_bps && rate(f.bitrate_bps),
  bandwidth_bps: (f) => f.bandwidth_bps && rate(f.bandwidth_bps),
  decoded_frames: (f) => String(f.decoded_frames),
  dropped_frames: (f) => String(f.dropped_frames),
  startup_s: (f) => f.startup_s !== null && seconds(f.startup_s),
  stalls: (f) => `${f.stalls}, together ${seconds(f.stalled_s)}`,
  errors: (f) => `${f.fatal_errors} fatal, ${f.other_errors} other`,
};

const element = (id) => document.getElementById(id);
const stream = decodeURIComponent(location.pathname.split("/").at(-2));
const player = new Player(element("video"), new URL("index.m3u8", location).href);

function setText(target, text) {
  if (target.textContent !== text) target.textContent = text; // a status line that is set is read aloud
}

function showRungs(rungs) {
  const select = element("rung");
  const options = [["auto", "auto"], ...rungs.map(({ name, width, height }) => [name, `${name} · ${width}×${height}`])];
  if (options.map(String).join() !== Array.from(select.options, (o) => [o.value, o.text]).map(String).join()) {
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }
  select.value = player.choice;
  select.disabled = rungs.length === 0;
}

function show() {
  const figures = player.figures();
  element("status").dataset.state = figures.state;
  setText(element("status"), STATES[figures.state]);
  element("go-live").disabled = !IS_RUNNING.has(figures.state);
  for (const target of document.querySelectorAll("[data-figure]")) {
    setText(target, SHOWN[target.dataset.figure](figures) || "–");
  }
  setText(element("last-error"), figures.last_error ? `Last error: ${figures.last_error}` : "");
  element("last-error").hidden = !figures.last_error;
  if (figures.rungs.length > 0 || figures.choice === "auto") showRungs(figures.rungs);
}

setText(element("stream"), stream);
document.title = `${stream} – Headroom`;
element("rung").addEventListener("change", (event) => player.choose(event.target.value));
element("go-live").addEventListener("click", () => player.goLive());
window.headroomPlayer = { figures: () => player.figures(), choose: (name) => player.choose(name) };

if (globalThis.Hls?.isSupported()) {
  player.start();
  show();
  setInterval(show, REFRESH_MS);
} else {
  setText(element("status"), "This browser cannot play the stream here: it has no Media Source Extensions.");
}
