"""HLS in memory: segments cut by FFmpeg, a store with a window, and playlists of our own."""
