"""The load generator: a clip made once, and publishers that replay it at live pace."""
