"""Alert rules, what they found, and whom they told."""
