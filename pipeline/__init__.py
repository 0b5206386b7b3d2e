"""What it really costs: the reference pipeline, RTMP in and HLS out, and the load test that measures it."""
