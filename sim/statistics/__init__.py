"""What a sample says of the law behind it: intervals, when enough has been seen, and what would say more."""
