"""The Click program: reads prompts, plans, publishes, follows, reports."""
