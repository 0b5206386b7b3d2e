"""The calibration loop: from measurement bundles to a profile, and from a profile back to a bundle."""
