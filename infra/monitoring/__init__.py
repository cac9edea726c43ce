"""What is watched, when it alarms, whom it tells and how it is shown: pure functions and data, no resources."""
