"""From failed checks to findings: what it means, how to go on, what mends it."""
