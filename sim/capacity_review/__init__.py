"""Instance types side by side for one scenario: who carries it, at what cost and risk, and how sure that is.

Flow: candidates → screening (control plane) → finals (whole platform) and purchases → decision → a `Review`.
"""
