// What one viewing was like: start-up, stalls, frames and errors, kept over every reload of the source.

const now_s = () => performance.now() / 1000;

export class Viewing {
  #video;
  #begun_s = now_s();
  #startup_s = null;
  #is_on = false; // from the first picture to the stream's end
  #stalls = 0;
  #stalled_s = 0;
  #stalled_since_s = null;
  #earlier_frames = { decoded: 0, dropped: 0 }; // of sources before this one: the element counts from 0 with each
  #fatal_errors = 0;
  #other_errors = 0;
  #last_error = null;

  constructor(video) {
    this.#video = video;
    video.addEventListener("waiting", () => {
      if (!video.seeking) this.#interrupt(); // waiting after a seek is the viewer's own doing
    });
    video.addEventListener("playing", () => this.#play());
    video.addEventListener("pause", () => this.#resume());
  }

  get isStalled() {
    return this.#stalled_since_s !== null;
  }

  // To be called before the element loses its source: what was playing stands still until the next one plays.
  sourceEnds() {
    this.#earlier_frames = this.#frames();
    this.#interrupt();
  }

  streamEnds() {
    this.#resume();
    this.#is_on = false;
  }

  error(data) {
    if (data.fatal) this.#fatal_errors += 1;
    else this.#other_errors += 1;
    const reason = data.error?.message ?? data.reason ?? "";
    this.#last_error = `${data.details}: ${reason}`.split("\n")[0].slice(0, 200);
  }

  figures() {
    const { decoded, dropped } = this.#frames();
    const running_s = this.isStalled ? now_s() - this.#stalled_since_s : 0;
    return {
      startup_s: this.#startup_s,
      stalls: this.#stalls,
      stalled_s: this.#stalled_s + running_s,
      decoded_frames: decoded,
      dropped_frames: dropped,
      fatal_errors: this.#fatal_errors,
      other_errors: this.#other_errors,
      last_error: this.#last_error,
    };
  }

  #frames() {
    const quality = this.#video.getVideoPlaybackQuality();
    return {
      decoded: this.#earlier_frames.decoded + quality.totalVideoFrames,
      dropped: this.#earlier_frames.dropped + quality.droppedVideoFrames,
    };
  }

  #play() {
    this.#startup_s ??= now_s() - this.#begun_s;
    this.#is_on = true;
    this.#resume();
  }

  #interrupt() {
    if (!this.#is_on || this.isStalled) return;
    this.#stalls += 1;
    this.#stalled_since_s = now_s();
  }

  #resume() {
    if (!this.isStalled) return;
    this.#stalled_s += now_s() - this.#stalled_since_s;
    this.#stalled_since_s = null;
  }
}
