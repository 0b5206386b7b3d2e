"""The load generator: clips made once, publishers that replay them at live pace, and HLS viewers."""
