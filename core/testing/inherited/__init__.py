"""What suites inherit: the checks of parts that answer at once or may learn, and how a part of a kind is called."""
