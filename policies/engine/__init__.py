"""Rules, what they say, and when that lets a deployment pass."""
