"""The page that plays a stream in a browser."""
