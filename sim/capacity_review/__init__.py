"""Instance types side by side for one scenario: what each costs, how surely, and what to measure next."""
